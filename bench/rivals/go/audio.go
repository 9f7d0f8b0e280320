// mu-law 8 kHz <-> PCM16 24 kHz, tables and linear interpolation: the usual way without a DSP library.
package main

import (
	"encoding/binary"
	"math/bits"
)

var (
	decodeTable [256]int16
	encodeTable [65536]byte
)

func init() {
	for code := range decodeTable {
		u := ^code & 0xff
		magnitude := ((u&15)<<3+132)<<(u>>4&7) - 132
		if u&0x80 != 0 {
			magnitude = -magnitude
		}
		decodeTable[code] = int16(magnitude)
	}
	for i := range encodeTable {
		encodeTable[i] = encodeSample(int(int16(i)))
	}
}

func encodeSample(sample int) byte {
	sign := 0
	if sample < 0 {
		sign, sample = 0x80, -sample
	}
	if sample > 32635 {
		sample = 32635
	}
	sample += 132
	exponent := bits.Len(uint(sample)) - 8
	return ^byte(sign | exponent<<4 | sample>>(exponent+3)&15)
}

// Remembers the last sample of a frame, so that the next begins where it ended.
type up struct{ last int }

func (u *up) run(codes []byte) []byte {
	out := make([]byte, 0, len(codes)*6)
	for _, code := range codes {
		next := int(decodeTable[code])
		out = binary.LittleEndian.AppendUint16(out, uint16(u.last+(next-u.last)/3))
		out = binary.LittleEndian.AppendUint16(out, uint16(u.last+(next-u.last)*2/3))
		out = binary.LittleEndian.AppendUint16(out, uint16(next))
		u.last = next
	}
	return out
}

// Every third sample, after the mean of its three; keeps what a delta leaves over.
type down struct{ rest []byte }

func (d *down) run(bytes []byte) []byte {
	if len(d.rest) > 0 {
		bytes = append(d.rest, bytes...)
	}
	codes := make([]byte, len(bytes)/6)
	for i := range codes {
		sum := 0
		for j := 0; j < 3; j++ {
			sum += int(int16(binary.LittleEndian.Uint16(bytes[6*i+2*j:])))
		}
		codes[i] = encodeTable[uint16(sum/3)]
	}
	d.rest = append([]byte(nil), bytes[6*len(codes):]...)
	return codes
}
