package xdp

// The compiled object is committed, so that building and testing need no clang. The gate makes it again
// with the compiler named here and compares.

//go:generate go tool bpf2go -tags linux -target bpfel -cc clang-14 -strip llvm-strip-14 scan bpf/scan.bpf.c -- -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu
