package merge

import (
	"sync"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

type recordingConverter struct {
	Converter
	calls []any
	lock  sync.Mutex
}

func (c *recordingConverter) Convert(v *typed.TypedValue, version fieldpath.APIVersion) (*typed.TypedValue, error) {
	out, err := c.Converter.Convert(v, version)
	call := map[string]any{"in": v.Recorded(), "version": version, "error": nil}
	if err != nil {
		call["error"], call["missing"] = err.Error(), c.Converter.IsMissingVersionError(err)
	} else {
		call["out"] = out.Recorded()
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.calls = append(c.calls, call)
	return out, err
}

type recordingFilter struct {
	inner fieldpath.Filter
	calls *[]any
}

func (f recordingFilter) Filter(set *fieldpath.Set) *fieldpath.Set {
	out := f.inner.Filter(set)
	*f.calls = append(*f.calls, []any{typed.RecordedSet(set), typed.RecordedSet(out)})
	return out
}

func recordedManagers(managers fieldpath.ManagedFields) any {
	if managers == nil {
		return nil
	}
	out := map[string]any{}
	for name, set := range managers {
		out[name] = map[string]any{"set": typed.RecordedSet(set.Set()), "version": set.APIVersion(), "applied": set.Applied()}
	}
	return out
}

func (s *Updater) recorded() (*Updater, func(map[string]any)) {
	converter := &recordingConverter{Converter: s.Converter}
	filtered := map[fieldpath.APIVersion]*[]any{}
	copied := &Updater{Converter: converter, returnInputOnNoop: s.returnInputOnNoop, IgnoredFields: s.IgnoredFields}
	if s.IgnoreFilter != nil {
		copied.IgnoreFilter = map[fieldpath.APIVersion]fieldpath.Filter{}
		for version, filter := range s.IgnoreFilter {
			filtered[version] = &[]any{}
			copied.IgnoreFilter[version] = recordingFilter{filter, filtered[version]}
		}
	}
	return copied, func(call map[string]any) {
		ignored := map[string]any{}
		for version, set := range s.IgnoredFields {
			ignored[string(version)] = typed.RecordedSet(set)
		}
		call["conversions"], call["ignored"], call["filtered"] = converter.calls, ignored, filtered
	}
}

func recordedOutcome(call map[string]any, out *typed.TypedValue, managers fieldpath.ManagedFields, err error) {
	call["error"], call["managersAfter"] = nil, recordedManagers(managers)
	if err != nil {
		call["error"] = err.Error()
		if conflicts, ok := err.(Conflicts); ok {
			found := []any{}
			for _, conflict := range conflicts {
				found = append(found, []any{conflict.Manager, conflict.Path.String()})
			}
			call["conflicts"] = found
		}
	}
	if out != nil {
		call["out"] = out.Recorded()
	}
}

func (s *Updater) Update(live, changed *typed.TypedValue, version fieldpath.APIVersion, managers fieldpath.ManagedFields, manager string) (*typed.TypedValue, fieldpath.ManagedFields, error) {
	call := map[string]any{
		"call": "update", "live": live.Recorded(), "new": changed.Recorded(), "version": version,
		"managers": recordedManagers(managers), "manager": manager,
	}
	copied, add := s.recorded()
	out, after, err := copied.unrecordedUpdate(live, changed, version, managers, manager)
	add(call)
	recordedOutcome(call, out, after, err)
	typed.Record(call)
	return out, after, err
}

func (s *Updater) Apply(live, config *typed.TypedValue, version fieldpath.APIVersion, managers fieldpath.ManagedFields, manager string, force bool) (*typed.TypedValue, fieldpath.ManagedFields, error) {
	call := map[string]any{
		"call": "apply", "live": live.Recorded(), "config": config.Recorded(), "version": version,
		"managers": recordedManagers(managers), "manager": manager, "force": force, "keep": s.returnInputOnNoop,
	}
	copied, add := s.recorded()
	out, after, err := copied.unrecordedApply(live, config, version, managers, manager, force)
	add(call)
	recordedOutcome(call, out, after, err)
	typed.Record(call)
	return out, after, err
}
