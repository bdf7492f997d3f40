// Command report measures what synoptic report makes: the size of the page of a /8 with a million endpoints, how long it takes
// to write, and in a headless Chromium to paint first and to be ready. With -out the pages and pictures of them are kept.
//
//	go run ./bench/report
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"synoptic/bench/lab/browser"
	"synoptic/bench/lab/estate"
	"synoptic/results/report"
)

var sizes = []struct {
	name string
	estate.Config
}{
	{"3-hosts", estate.Config{Prefix: netip.MustParsePrefix("192.168.1.0/24"), Endpoints: 9, Scans: 1}},
	{"slash-16", estate.Config{Prefix: netip.MustParsePrefix("10.20.0.0/16"), Endpoints: 20_000, Scans: 30, Changes: 200}},
	{"slash-8", estate.Config{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Endpoints: 1_000_000, Scans: 30, Changes: 500}},
}

func main() {
	out := flag.String("out", "", "keep pages and pictures in this `folder`")
	runs := flag.Int("runs", 5, "open each page so many times")
	flag.Parse()
	folder := *out
	if folder == "" {
		var err error
		if folder, err = os.MkdirTemp("", "report"); err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(folder)
	}
	program, err := exec.LookPath(browser.Name)
	if err != nil {
		log.Print(err, ": sizes only")
	}
	fmt.Println("page       endpoints      bytes   written   first paint   ready   (best of the runs)")
	for _, s := range sizes {
		page := filepath.Join(folder, s.name+".html")
		took, size, err := write(page, s.Config)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%-9s  %9d  %9d  %6d ms", s.name, s.Endpoints, size, took.Milliseconds())
		if program != "" {
			paint, ready, err := open(program, page, *runs, *out != "")
			if err != nil {
				log.Fatal(err)
			}
			fmt.Printf("  %9.0f ms  %d ms", paint, ready.Milliseconds())
		}
		fmt.Println()
	}
}

func write(page string, c estate.Config) (took time.Duration, size int64, err error) {
	in := estate.Input(c)
	f, err := os.Create(page)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	begin := time.Now()
	if err := report.Write(f, in); err != nil {
		return 0, 0, err
	}
	took = time.Since(begin)
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	return took, info.Size(), nil
}

// open opens the page several times, and tells when it was painted first, in milliseconds after navigation began, and ready.
func open(program, page string, runs int, pictures bool) (paint float64, ready time.Duration, err error) {
	b, err := browser.Start(program)
	if err != nil {
		return 0, 0, err
	}
	defer b.Close()
	if err := b.Look(1280, 900, false); err != nil {
		return 0, 0, err
	}
	var paints []float64
	var readies []time.Duration
	for range runs {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begin := time.Now()
		if err := b.Open(ctx, "file://"+page); err != nil {
			return 0, 0, err
		}
		var first float64
		if err := b.Eval(browser.Ready, nil); err != nil {
			return 0, 0, err
		}
		readies = append(readies, time.Since(begin))
		if err := b.Eval(firstPaint, &first); err != nil {
			return 0, 0, err
		}
		paints = append(paints, first)
	}
	if pictures {
		err = shoot(b, page)
	}
	return slices.Min(paints), slices.Min(readies), err
}

// firstPaint is when the page was painted first, as soon as the browser says so.
const firstPaint = `new Promise((tell) => new PerformanceObserver((list) => {
	for (const e of list.getEntriesByName("first-contentful-paint")) tell(e.startTime);
}).observe({ type: "paint", buffered: true }))`

// shoot keeps pictures of the page beside it, in light and dark.
func shoot(b *browser.Browser, page string) error {
	for _, dark := range []bool{false, true} {
		name := page + ".light.png"
		if dark {
			name = page + ".dark.png"
		}
		if err := b.Look(1280, 900, dark); err != nil {
			return err
		}
		if err := b.Eval("new Promise((r) => setTimeout(r, 500))", nil); err != nil {
			return err
		}
		png, err := b.Screenshot(true)
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, png, 0o640); err != nil {
			return err
		}
	}
	return nil
}
