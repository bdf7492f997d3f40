//go:build !linux

package main

// onFirst runs f: there is no test network here that it would run on.
func onFirst(f func() error) error { return f() }
