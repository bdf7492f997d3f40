package bench

import (
	"synoptic/bench/lab/testnet"
)

// Setup enters a network namespace of its own, for which it starts the process anew, and then builds
// the program and makes a network with targets behind a gateway. teardown undoes both.
func Setup() (p *Program, n *testnet.Network, teardown func(), err error) {
	if err := testnet.Enter(); err != nil {
		return nil, nil, nil, err
	}
	if p, err = Build(); err != nil {
		return nil, nil, nil, err
	}
	if n, err = testnet.Open(testnet.Config{Gateway: true}); err != nil {
		p.Close()
		return nil, nil, nil, err
	}
	return p, n, func() { n.Close(); p.Close() }, nil
}
