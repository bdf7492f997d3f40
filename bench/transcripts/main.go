// Transcripts keeps what the documents show of the program true:
//
//	go run ./bench/transcripts             # run all, write the documents and docs/recording.svg
//	go test ./bench/transcripts            # run all, compare; nothing is written
//
// Each console block of a Markdown file is a transcript, and says in a comment before it in which network it is run:
//
//	<!-- transcript: loopback -->
//
// The lines that begin with "$ " or "# " are run, by the program as it is now, on a terminal, in namespaces made for it;
// what they print takes the place of the lines below. Times, rates and the order of rows differ from run to run, and are
// left out of the comparison. Run it where you are root: the plan of a scan says what its user may do.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: transcripts [-recording=false]\n\nRun it in the module's root, as root.")
		flag.PrintDefaults()
	}
	var w what
	flag.BoolVar(&w.documents, "documents", true, "renew the transcripts in Markdown files")
	flag.BoolVar(&w.recording, "recording", true, "make docs/recording.svg")
	flag.Parse()
	if err := testnet.Enter(); err != nil {
		fail(err)
	}
	if err := write(w); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "transcripts:", err)
	os.Exit(1)
}

// what is to be made.
type what struct{ documents, recording bool }

// write brings all documents up to date.
func write(w what) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	program, err := bench.Build()
	if err != nil {
		return err
	}
	defer program.Close()
	root, err := filepath.Abs(".")
	if err != nil {
		return err
	}
	if w.documents {
		if err := writeDocuments(ctx, program, root); err != nil {
			return err
		}
	}
	if !w.recording {
		return nil
	}
	film, err := record(ctx, program, root, pace{})
	if err != nil {
		return err
	}
	fmt.Printf("docs/recording.svg: %.1f s\n", film.length.Seconds())
	return os.WriteFile(filepath.Join(root, "docs", "recording.svg"), []byte(film.draw()), 0o644)
}

func writeDocuments(ctx context.Context, program *bench.Program, root string) error {
	files, err := documents(root)
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		now, err := renew(string(text), func(b block) (string, error) { return play(ctx, program, root, b) })
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if now != string(text) {
			fmt.Println("written:", file)
			if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
