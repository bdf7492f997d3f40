// Package control lets somebody change a scan while it runs: rate, pause, resume, exclude, status. Call Listen for a Unix
// socket and Serve with it and the scan; Dial is the other end.
//
// A request is a line of JSON, and so is its answer (docs/control.md):
//
//	{"verb":"exclude","args":["10.0.0.0/24"]}
//	{"ok":true,"verb":"exclude","addresses":256,"probes":2560}
//	{"verb":"rate","args":["fast"]}
//	{"ok":false,"verb":"rate","error":"rate \"fast\": not a number …","hint":"…"}
//
// What is wrong changes nothing. Everything that the socket can do, Scan's methods can without it.
package control
