package beacon

import (
	"slices"
	"time"
)

// GoodOf is when the newest beacon of a path was sent that was answered; 0 where none was.
func (s *Set) GoodOf(path int) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.goods[path]
}

// HeardOn says that a probe sent at a time on a path was answered, of whatever position. Of a scan over one path it need not be told.
func (s *Set) HeardOn(path int, sent int64) { raise(&s.on[path], sent) }

// NewestOn is when the newest probe of a path was sent that was answered, a beacon or another; 0 where none was.
func (s *Set) NewestOn(path int) int64 {
	if len(s.on) == 1 {
		return s.Good()
	}
	return max(s.GoodOf(path), s.on[path].Load())
}

// answeredOn notes that a beacon of a path was answered that was sent at a time.
func (s *Set) answeredOn(path int, sent int64) {
	s.good, s.goods[path] = max(s.good, sent), max(s.goods[path], sent)
}

// ProvenOn tells whether a beacon of a path was answered.
func (s *Set) ProvenOn(path int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paths[path].Answered > 0
}

// Leave says that a path is known to be at fault while others are not: its beacons count no more, and are asked seldom,
// until Return. Parts has nothing to tell of it meanwhile.
func (s *Set) Leave(path int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, &Part{Scope: Path, Path: path, held: true})
	s.pending = s.pending[:0] // some of it was lost there
	s.mark()
}

// Return says that a path is up again.
func (s *Set) Return(path int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = slices.DeleteFunc(s.parts, func(p *Part) bool { return p.held && p.Path == path })
	s.forget(&Part{Scope: Path, Path: path})
	s.mark()
}

// Drop forgets a part that Parts has told of: it will not be told that it answers again.
func (s *Set) Drop(part *Part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = slices.DeleteFunc(s.parts, func(p *Part) bool { return p == part })
	s.mark()
}

const (
	// deafAfter is how long positions that have answered are asked again, and deafTries how many must be lost at least, before it is
	// concluded that they do not answer any more.
	deafAfter = 3 * time.Second
	deafTries = 12
	// fewTime is how long those few are waited for where some are lost: at a tiny rate few are asked.
	fewTime = time.Minute
)

// deaf tells whether positions have answered, and none has when it was asked again. Whether they do not answer the same SYN twice or
// nothing travels any more nobody can say; but silence is no evidence.
func (s *Set) deaf() bool {
	return !s.proven && s.good != 0 && s.unheard >= deafTries && s.awake-s.offered >= deafAfter
}

// pathLag is how much older the newest answer of a path may be than that of others without holding up what is trusted:
// that it is silent is found out in less.
const pathLag = int64(3 * time.Second)

// newestOfAll is newest, or of several paths, as far as their beacons tell, that of the one which lags behind.
func (s *Set) newestOfAll() int64 {
	newest := s.newest()
	if len(s.paths) == 1 {
		return newest
	}
	lags := newest
	for i, n := range s.paths {
		if n.Answered == 0 || s.holds(i) {
			continue
		}
		lags = min(lags, s.goods[i])
	}
	return max(lags, newest-pathLag)
}

// holds tells whether a path was left.
func (s *Set) holds(path int) bool {
	return slices.ContainsFunc(s.parts, func(p *Part) bool { return p.held && p.Path == path })
}

// Trusted is Good, as far as it holds for every path, where there are beacons that answer. known is false where there are
// none, or none could be asked: then silence proves nothing, whatever is waited for.
func (s *Set) Trusted() (good int64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newestOfAll(), s.proven || s.good != 0 && s.mayAnswer()
}

// mayAnswer tells whether it will come out whether positions that have answered do so again.
func (s *Set) mayAnswer() bool {
	switch asked := s.awake - s.offered; {
	case len(s.members) == 0:
		return false
	case s.unheard >= deafTries:
		return true
	case s.unheard > 0:
		return asked < fewTime
	default:
		return asked < deafAfter
	}
}
