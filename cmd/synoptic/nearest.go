package main

import "synoptic/results/spelling"

// nearest is the name that a mistyped word was most likely meant to be, or "".
func nearest(word string, names []string) string { return spelling.Nearest(word, names) }

// typos counts the letters that are wrong, missing, too many or swapped.
func typos(a, b string) int { return spelling.Typos(a, b) }
