package main

import (
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"synoptic/results/sink/dest"
	"synoptic/scan/target"
)

// completer gives the values that a shell proposes.
type completer = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// fixed proposes words.
func fixed(words ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// listed proposes the next word of a list that commas separate, none twice.
func listed(words func(begun string) []string) completer {
	return func(_ *cobra.Command, _ []string, typed string) (all []string, _ cobra.ShellCompDirective) {
		at := strings.LastIndexByte(typed, ',') + 1
		for _, w := range words(typed[at:]) {
			if !strings.Contains(","+typed[:at], ","+w+",") {
				all = append(all, typed[:at]+w)
			}
		}
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// among proposes words whatever is typed.
func among(words []string) func(string) []string { return func(string) []string { return words } }

// interfaces are those of this host.
func interfaces(string) (names []string) {
	all, _ := net.Interfaces() // who completes has no use for an error
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

// services are the names of ports that begin as typed: all of them would be thousands.
func services(begun string) []string {
	if begun == "" {
		return []string{"-", "22", "80", "443", "http", "https", "ssh"}
	}
	return target.ServicesLike(begun)
}

// outputs proposes formats and destinations, or the files behind a format.
func outputs(_ *cobra.Command, _ []string, typed string) (all []string, _ cobra.ShellCompDirective) {
	kinds := []string{"-"}
	for _, k := range dest.Kinds() {
		if k == "unix" {
			kinds = append(kinds, k+":")
		} else {
			kinds = append(kinds, k+"://")
		}
	}
	if format, _, ok := strings.Cut(typed, ":"); ok {
		for _, k := range kinds {
			all = append(all, format+":"+k)
		}
		return all, cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
	}
	for _, f := range allFormats() {
		all = append(all, f+":")
	}
	return append(all, kinds...), cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
}

func profiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return profilesIn(profileFolders(lookupEnv)), cobra.ShellCompDirectiveDefault
}

// completeOutputs has the shell complete what every command with outputs has.
func completeOutputs(cmd *cobra.Command) {
	for flag, f := range map[string]completer{
		"output": outputs, "profile": profiles, "show": listed(among(stateNames)),
		"spool-max": fixed("256M", "1G", "10G"),
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, f) // the flag is there
	}
	_ = cmd.MarkFlagDirname("spool") // likewise
}

// completeScan has the shell complete what scan has besides.
func completeScan(cmd *cobra.Command) {
	completeOutputs(cmd)
	for flag, f := range map[string]completer{
		"metrics": fixed("9090", "127.0.0.1:9090", "synoptic.prom"),
		"ports":   listed(services), "interface": listed(interfaces), "backend": fixed(backendNames...), "syn-profile": fixed(profileNames...),
		"top-ports":     fixed("10", "100", strconv.Itoa(defaultTopPorts), strconv.Itoa(target.NumTopPorts())),
		"rate-per-host": fixed("1", "10", "100"), "rate-per-prefix": fixed("24:100", "64:100"),
		"max-rate": fixed("100k", "1M"), "min-rate": fixed("100", "1k"), "rate": fixed("auto", "1k", "10k", "50k", "100k", "1M"), "bandwidth": fixed("10M", "100M", "1G"), "max-memory": fixed("64M", "256M", "1G"),
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, f) // the flag is there
	}
	cmd.ValidArgsFunction = fixed() // targets are no files
}
