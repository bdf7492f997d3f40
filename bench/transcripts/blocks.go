package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"synoptic/bench"
)

// block is a transcript in a document.
type block struct {
	line  int    // of the opening fence, from 1
	scene string // the network that it is run in; empty: none is given
	lines []string
}

// documents are the Markdown files of the module.
func documents(root string) (files []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root:
			return filepath.SkipDir
		case !d.IsDir() && filepath.Ext(path) == ".md":
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

const marker = "<!-- transcript: "

// fences finds the fenced blocks of a language: the index of the opening fence and of the closing one.
func fences(lines []string, language string) (found [][2]int) {
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], "```") {
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		if lines[i] == "```"+language {
			found = append(found, [2]int{i, end})
		}
		i = end
	}
	return found
}

// transcripts are the console blocks of a document.
func transcripts(text string) (found []block) {
	lines := strings.Split(text, "\n")
	for _, f := range fences(lines, "console") {
		b := block{line: f[0] + 1, lines: lines[f[0]+1 : f[1]]}
		for i := f[0] - 1; i >= max(0, f[0]-2) && b.scene == ""; i-- {
			if rest, ok := strings.CutPrefix(lines[i], marker); ok {
				b.scene = strings.TrimSuffix(rest, " -->")
			}
		}
		found = append(found, b)
	}
	return found
}

// renew puts what now gives in the place of every transcript.
func renew(text string, now func(block) (string, error)) (string, error) {
	lines := strings.Split(text, "\n")
	at := fences(lines, "console")
	for i, b := range slices.Backward(transcripts(text)) {
		printed, err := now(b)
		if err != nil {
			return "", fmt.Errorf("line %d: %w", b.line, err)
		}
		lines = slices.Replace(lines, at[i][0]+1, at[i][1], strings.Split(strings.TrimSuffix(printed, "\n"), "\n")...)
	}
	return strings.Join(lines, "\n"), nil
}

// commands are the lines of a transcript that are run: those that begin as the first one does, with "$ " or "# ". So what
// they print may show commands of the other kind.
func (b block) commands() (found []string) {
	for _, line := range b.lines {
		if strings.HasPrefix(line, b.prompt()) {
			found = append(found, line)
		}
	}
	return found
}

func (b block) prompt() string {
	if len(b.lines) > 0 && strings.HasPrefix(b.lines[0], "# ") {
		return "# "
	}
	return prompt
}

// play runs the commands of a transcript in its scene.
func play(ctx context.Context, program *bench.Program, root string, b block) (string, error) {
	s, err := enter(ctx, program, root, b.scene)
	if err != nil {
		return "", err
	}
	defer s.close()
	var out strings.Builder
	for _, line := range b.commands() {
		var shown screen
		if err := s.run(ctx, strings.TrimPrefix(line, b.prompt()), columns, false, func(text []byte) error { return shown.write(text) }); err != nil {
			return "", err
		}
		fmt.Fprintln(&out, line)
		for _, l := range shown.lines {
			fmt.Fprintln(&out, strings.TrimRight(l.text(), " "))
		}
	}
	return out.String(), nil
}

// columns is the width of the terminal of a transcript.
const columns = 120

// examples are the lines of the program in a document's sh blocks, without their remarks.
func examples(text string) (found []string) {
	lines := strings.Split(text, "\n")
	for _, f := range fences(lines, "sh") {
		for _, line := range lines[f[0]+1 : f[1]] {
			if strings.HasPrefix(line, "synoptic ") || strings.Contains(line, "| synoptic ") {
				cmd, _, _ := strings.Cut(line, "  #")
				found = append(found, strings.TrimSpace(cmd))
			}
		}
	}
	return found
}

// read is a file of the module.
func read(root, name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	return string(b), err
}
