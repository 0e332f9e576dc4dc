package typed

import (
	"encoding/json"
	"os"
	"sync"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	yaml "go.yaml.in/yaml/v2"
)

// Calls of the library are written to the file that RECORD names, a JSON object a line.
var (
	recordLock sync.Mutex
	recordFile *os.File
)

func init() {
	if name := os.Getenv("RECORD"); name != "" {
		recordFile, _ = os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	}
}

func Record(call map[string]any) {
	if recordFile == nil {
		return
	}
	line, err := json.Marshal(call)
	if err != nil {
		return
	}
	recordLock.Lock()
	defer recordLock.Unlock()
	recordFile.Write(append(line, '\n'))
}

func RecordedValue(v value.Value) any {
	if v == nil {
		return nil
	}
	text, err := value.ToJSON(v)
	if err != nil {
		return nil
	}
	return json.RawMessage(text)
}

func RecordedSet(s *fieldpath.Set) any {
	if s == nil {
		return nil
	}
	text, err := s.ToJSON()
	if err != nil {
		return nil
	}
	return json.RawMessage(text)
}

func RecordedType(s *schema.Schema, t schema.TypeRef) any {
	types, _ := yaml.Marshal(s)
	root, _ := yaml.Marshal(t)
	return map[string]any{"schema": string(types), "root": string(root)}
}

func (tv TypedValue) Recorded() map[string]any {
	return map[string]any{"type": RecordedType(tv.schema, tv.typeRef), "value": RecordedValue(tv.value)}
}

func recordedError(err error) any {
	if err == nil {
		return nil
	}
	return err.Error()
}

func (tv TypedValue) Validate(opts ...ValidationOptions) error {
	err := tv.unrecordedValidate(opts...)
	call := tv.Recorded()
	call["call"], call["duplicates"], call["error"] = "validate", len(opts) > 0, recordedError(err)
	Record(call)
	return err
}

func (tv TypedValue) ToFieldSet() (*fieldpath.Set, error) {
	set, err := tv.unrecordedToFieldSet()
	call := tv.Recorded()
	call["call"], call["set"], call["error"] = "fields", RecordedSet(set), recordedError(err)
	Record(call)
	return set, err
}

func (tv TypedValue) Merge(pso *TypedValue) (*TypedValue, error) {
	out, err := tv.unrecordedMerge(pso)
	call := tv.Recorded()
	call["call"], call["config"], call["error"] = "merge", RecordedValue(pso.value), recordedError(err)
	if out != nil {
		call["out"] = RecordedValue(out.value)
	}
	Record(call)
	return out, err
}

func (tv TypedValue) Compare(rhs *TypedValue) (*Comparison, error) {
	out, err := tv.unrecordedCompare(rhs)
	call := tv.Recorded()
	call["call"], call["new"], call["error"] = "compare", RecordedValue(rhs.value), recordedError(err)
	if out != nil {
		call["removed"], call["modified"], call["added"] = RecordedSet(out.Removed), RecordedSet(out.Modified), RecordedSet(out.Added)
	}
	Record(call)
	return out, err
}

func (tv TypedValue) RemoveItems(items *fieldpath.Set) *TypedValue {
	out := tv.unrecordedRemoveItems(items)
	call := tv.Recorded()
	call["call"], call["set"], call["out"] = "remove", RecordedSet(items), RecordedValue(out.value)
	Record(call)
	return out
}
