package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// mustTags makes tags of key=value texts.
func mustTags(t testing.TB, texts ...string) Tags {
	t.Helper()
	var all []Tag
	for _, text := range texts {
		tag, err := ParseTag(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tag)
	}
	tags, err := MakeTags(all)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

// longestTags fill their room.
func longestTags(t testing.TB) Tags {
	var texts []string
	const n = MaxTags / 2
	for i := range n {
		texts = append(texts, fmt.Sprintf("key-%02d=%s", i, "<\"é"+strings.Repeat("v", (MaxTagsLen-2)/n-22)))
	}
	return mustTags(t, texts...)
}

// drawTags makes none, some, or as many as there is room for.
func drawTags(t *rapid.T) Tags {
	if rapid.IntRange(0, 9).Draw(t, "longest tags") == 0 {
		all := make([]Tag, MaxTags)
		for i := range all {
			all[i] = Tag{fmt.Sprint("key", i), "&"}
		}
		tags, err := MakeTags(all)
		if err != nil {
			t.Fatal(err)
		}
		return tags
	}
	byKey := map[string]string{}
	for range rapid.IntRange(0, 4).Draw(t, "tags") {
		byKey[rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_-]{0,7}`).Draw(t, "key")] = rapid.StringMatching(`[!-~äß€😀\x{fffd}]([ -~é\x{2028}]{0,6}[!-~])?`).Draw(t, "value")
	}
	var all []Tag
	for key, value := range byKey {
		all = append(all, Tag{key, value})
	}
	tags, err := MakeTags(all)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

// A tag is what is written on both sides of the first equals sign, or is refused with a reason and a way out.
func TestParseTag(t *testing.T) {
	for text, want := range map[string]Tag{
		"owner=network-team": {"owner", "network-team"}, "a=b=c": {"a", "b=c"}, " zone = dmz ": {"zone", "dmz"}, "_x-1=é €": {"_x-1", "é €"},
		"Owner=A, B": {"Owner", "A, B"}, `q="quoted"`: {"q", `"quoted"`}, "ticket=#123": {"ticket", "#123"}, "u=http://a/?b=c": {"u", "http://a/?b=c"},
		strings.Repeat("k", 32) + "=v": {strings.Repeat("k", 32), "v"}, "n=0": {"n", "0"}, "json={}": {"json", "{}"},
	} {
		if got, err := ParseTag(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "it has no =", "owner": "it has no =", "owner:x": "it has no =", "=x": "it has no key", " =x": "it has no key", "owner=": "it has no value", "owner= \t": "it has no value",
		"a b=c": "a character that no key has", "a.b=c": "a character that no key has", "1a=c": "a character that no key has", "-a=c": "a character that no key has", "ä=c": "a character that no key has",
		"a/b=c": "a character that no key has", strings.Repeat("k", 33) + "=v": "more than 32 bytes", "a=b\nc": "control character", "a=b\x1b[0m": "control character", "a=x\u0085b": "control character",
		"a=b\x7fc": "control character", "a=\xff": "not UTF-8", "a=b\x00c": "control character", "a=x\ty": "control character",
	} {
		tag, err := ParseTag(text)
		e, ok := errors.AsType[*TagError](err)
		if !ok || !strings.Contains(err.Error(), want) || e.Hint() == "" || len(err.Error()) > 200 {
			t.Errorf("%q: %+v, error %v, want one with %q", text, tag, err, want)
		}
	}
}

// Tags are in the same order however they came, each once, and no more than there is room for.
func TestMakeTags(t *testing.T) {
	if got, want := mustTags(t, "zone=dmz", "owner=a \"b\" <é>", "zone=dmz"), `{"owner":"a \"b\" \u003cé\u003e","zone":"dmz"}`; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := mustTags(t); got != "" || got.AppendField([]byte("x"), "tags") == nil || string(got.AppendField([]byte("x"), "tags")) != "x" {
		t.Errorf("none are %q", got)
	}
	if got := longestTags(t); len(got) < MaxTagsLen*9/10 || len(got) > MaxTagsLen {
		t.Errorf("the longest take %d bytes", len(got))
	}
	many := make([]Tag, MaxTags+1)
	for i := range many {
		many[i] = Tag{fmt.Sprint("k", i), "v"}
	}
	for name, all := range map[string][]Tag{
		`"a": it has two values, "1" and "2"`: {{"a", "2"}, {"b", "1"}, {"a", "1"}},
		"17 tags, a record has room for 16":   many,
		"there is room for 320":               {{"a", strings.Repeat("x", MaxTagsLen)}},
		"the tags of a record take 609 bytes": {{"a", strings.Repeat("<", 100)}}, // each is six where JSON is escaped for HTML
	} {
		got, err := MakeTags(all)
		if e, ok := errors.AsType[*TagError](err); !ok || !strings.Contains(err.Error(), name) || e.Hint() == "" {
			t.Errorf("%s, error %v, want one with %q", got, err, name)
		}
	}
}

// What goes in comes out: as a JSON object, one by one, and read again.
func TestTagsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := drawTags(t)
		if len(tags) > MaxTagsLen {
			t.Fatalf("%d bytes", len(tags))
		}
		all := map[string]string{}
		var keys []string
		for key, value := range tags.All() {
			all[key] = value
			keys = append(keys, key)
		}
		if !slices.IsSorted(keys) {
			t.Fatalf("keys %q", keys)
		}
		encoded, err := json.Marshal(tags)
		var object map[string]string
		if err != nil || json.Unmarshal(encoded, &object) != nil || !maps.Equal(object, all) {
			t.Fatalf("%s is %v, and %v one by one; error %v", encoded, object, all, err)
		}
		var again Tags
		if err := json.Unmarshal(encoded, &again); err != nil || again != tags {
			t.Fatalf("%s came back as %s, error %v", tags, again, err)
		}
	})
	for range mustTags(t, "a=1", "b=2").All() {
		break // may be left
	}
}

// What is no object of tags is refused with the line.
func TestReadOddTags(t *testing.T) {
	p := samplePort()
	good := string(p.AppendJSON(nil, testScan))
	for object, want := range map[string]string{
		`"owner"`: "not a JSON object", `["a"]`: "not a JSON object", `1`: "not a JSON object", `{"a":1}`: "1 is not a string", `{"a":null}`: "null is not a string", `{"a":{"b":"c"}}`: "is not a string",
		`{"a b":"c"}`: "no key has", `{"":"c"}`: "it has no key", `{"a":""}`: "it has no value", `{"a":" b"}`: "white space", `{"a=b":"c"}`: "white space", `{"a":"\n"}`: "no value", `{"a":"b\u0000c"}`: "control character",
		`{"a":"1","a":"2"}`: "two values", `{"a":"` + strings.Repeat("x", 600) + `"}`: "there is room for 320",
	} {
		for _, line := range []string{
			good[:len(good)-1] + `,"tags":` + object + "}",
			`{"v":1,"type":"scan_start","scan_id":"a","tags":` + object + "}",
			`{"v":1,"type":"event","ts":"2026-11-21T10:12:13Z","scan_id":"a","event":"lost","tags":` + object + "}",
		} {
			_, errs := rewrite(NewReader(strings.NewReader(line + "\n")))
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), want) || len(errs[0].Error()) > 250 {
				t.Errorf("%s: errors %v, want one with %q", object, errs, want)
			}
		}
	}
	for _, object := range []string{"null", "{}", ` { } `} {
		got, errs := rewrite(NewReader(strings.NewReader(good[:len(good)-1] + `,"tags":` + object + "}\n")))
		if len(errs) > 0 || string(got) != good+"\n" {
			t.Errorf("%s: errors %v, %s", object, errs, got)
		}
	}
}

// Many records with few sets of tags cost nothing to read but the first of each.
func TestReadTagsDoesNotAllocate(t *testing.T) {
	p := samplePort()
	p.Tags, p.ServiceSource = mustTags(t, "owner=web", "zone=dmz"), ServiceBanner
	line := p.AppendJSON(nil, testScan)
	var r parser
	var got Port
	if n := testing.AllocsPerRun(1000, func() {
		if err := r.port(line, &got); err != nil {
			t.Fatal(err)
		}
	}); n != 0 || got.Tags != p.Tags || got.Detected() != "https" {
		t.Errorf("%v allocations a record; read %+v", n, got)
	}
}
