// Package inventory keeps in one SQLite file which ports were open when, as far as scans have asked: call Open, give the
// records of scans to Ingest, and read with OpenPorts, History and Diff.
//
// What is stored are intervals. One begins with the first sweep that saw an endpoint and ends with the first later one that asked for
// it and did not see it; what stays as it is costs nothing. A sweep that did not ask says nothing of an endpoint, and so ends nothing: whether it
// asked is its coverage, ranges of positions in the order of a plan, in which a Space finds endpoints.
//
// Scans that are pieces of one plan (the same text and seed, and none of it asked twice), as shards and resumed scans are, make one
// sweep together, if they come one behind the other: so the database does not depend on how a scan was split.
package inventory
