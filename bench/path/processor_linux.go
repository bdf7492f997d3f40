package main

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// onFirst runs f, and what it starts, on the first processor.
func onFirst(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	bind := func(processors string) error {
		if out, err := exec.Command("taskset", "-pc", processors, strconv.Itoa(syscall.Gettid())).CombinedOutput(); err != nil {
			return fmt.Errorf("bind to a processor: %w: %s", err, out)
		}
		return nil
	}
	if err := bind("0"); err != nil {
		return err
	}
	err := f()
	return errors.Join(err, bind(fmt.Sprintf("0-%d", runtime.NumCPU()-1)))
}
