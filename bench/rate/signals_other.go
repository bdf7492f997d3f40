//go:build !linux

package main

import "os"

// Without test networks (see testnet) no process is ever stopped here.
var stopSignal, continueSignal os.Signal = os.Kill, os.Kill
