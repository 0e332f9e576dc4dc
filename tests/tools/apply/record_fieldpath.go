package fieldpath

import (
	"encoding/json"
	"os"
	"sync"
)

var (
	recordLock sync.Mutex
	recordFile *os.File
)

func init() {
	if name := os.Getenv("RECORD_SETS"); name != "" {
		recordFile, _ = os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	}
}

func recorded(call string, first, second, out *Set) *Set {
	if recordFile == nil {
		return out
	}
	entry := map[string]any{"call": call}
	for name, set := range map[string]*Set{"first": first, "second": second, "out": out} {
		if set != nil {
			if text, err := set.ToJSON(); err == nil {
				entry[name] = json.RawMessage(text)
			}
		}
	}
	if line, err := json.Marshal(entry); err == nil {
		recordLock.Lock()
		defer recordLock.Unlock()
		recordFile.Write(append(line, '\n'))
	}
	return out
}

func (s *Set) Union(s2 *Set) *Set        { return recorded("union", s, s2, s.unrecordedUnion(s2)) }
func (s *Set) Intersection(s2 *Set) *Set { return recorded("intersection", s, s2, s.unrecordedIntersection(s2)) }
func (s *Set) Difference(s2 *Set) *Set   { return recorded("difference", s, s2, s.unrecordedDifference(s2)) }
func (s *Set) RecursiveDifference(s2 *Set) *Set {
	return recorded("exclude", s, s2, s.unrecordedRecursiveDifference(s2))
}
func (s *Set) Leaves() *Set { return recorded("leaves", s, nil, s.unrecordedLeaves()) }
