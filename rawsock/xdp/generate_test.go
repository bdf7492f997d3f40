package xdp

//go:generate go tool bpf2go -tags linux -target bpfel -cc clang-14 -strip llvm-strip-14 functions bpf/functions.bpf.c -- -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -tags linux -target bpfel -cc clang-14 -strip llvm-strip-14 far bpf/far.bpf.c -- -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -tags linux -target bpfel -cc clang-14 -strip llvm-strip-14 bench bpf/bench.bpf.c -- -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu
