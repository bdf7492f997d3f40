package results

// ServiceSource says what the name of a service rests on, the weakest first.
type ServiceSource uint8

const (
	ServiceUnsaid ServiceSource = iota // records of earlier versions: the number, by IANA's registry
	ServiceIANA                        // the port's number, by IANA's registry
	ServiceCommon                      // the port's number, by what it is mostly used for where IANA's name is another
	ServiceBanner                      // the first bytes that the server sent

	numServiceSources
)

var serviceSources = [numServiceSources]string{"", "iana", "common", "banner"}

// String is the name in records; ServiceUnsaid has none.
func (s ServiceSource) String() string {
	if s < numServiceSources {
		return serviceSources[s]
	}
	return ""
}

// Detected is the protocol that the server's first bytes show; "" where they show none, or none were seen.
func (p *Port) Detected() string {
	if p.ServiceSource == ServiceBanner {
		return p.Service
	}
	return ""
}

// AppendService appends the fields about the service behind another field of a JSON object.
func (p *Port) AppendService(b []byte) []byte {
	if p.Service == "" {
		return b
	}
	b = append(b, `,"service":`...)
	begin := len(b)
	b = AppendString(b, p.Service)
	if p.ServiceSource == ServiceUnsaid {
		return b
	}
	name := b[begin:]
	b = append(b, `,"service_source":"`...)
	b = append(b, p.ServiceSource.String()...)
	b = append(b, '"')
	if p.ServiceSource == ServiceBanner {
		b = append(b, `,"detected":`...)
		b = append(b, name...)
	}
	return b
}

func serviceSource(v value) (ServiceSource, error) {
	text, err := v.text()
	if err != nil {
		return ServiceUnsaid, err
	}
	for s := ServiceUnsaid + 1; s < numServiceSources; s++ {
		if serviceSources[s] == string(text) {
			return s, nil
		}
	}
	// Of a newer version: the name is as good as one without a source.
	return ServiceUnsaid, nil
}
