package main

import (
	"slices"

	"synoptic/results/sink"
	"synoptic/results/sink/format"
)

// keepFrames tells whether an output keeps the replies' frames, which decides how the scan receives them.
func (f *outputFlags) keepFrames() bool {
	return slices.ContainsFunc(f.outputs, func(spec string) bool {
		name, _ := sink.Split(spec)
		known, _ := format.Lookup(name)
		return known.Frames
	})
}
