// The part of zlib that Verilator's waveform writer calls, storing instead of compressing: stored
// blocks are a valid zlib stream. Waveforms then need no library of the system.
#pragma once

#include <cstring>

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = unsigned long;
constexpr int Z_OK = 0;

static inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

static inline int compress2(Bytef* target, uLongf* written, const Bytef* source, uLong size, int) {
    Bytef* out = target;
    *out++ = 0x78;
    *out++ = 0x01;
    uLong a = 1, b = 0, done = 0;
    do {
        const uLong length = size - done < 65535 ? size - done : 65535;
        *out++ = done + length == size;
        *out++ = length & 255;
        *out++ = length >> 8;
        *out++ = ~length & 255;
        *out++ = ~length >> 8 & 255;
        for (uLong i = 0; i < length; i++) {
            a = (a + source[done + i]) % 65521;
            b = (b + a) % 65521;
        }
        std::memcpy(out, source + done, length);
        out += length;
        done += length;
    } while (done < size);
    const uLong checksum = b << 16 | a;
    for (int shift = 24; shift >= 0; shift -= 8) *out++ = checksum >> shift & 255;
    *written = out - target;
    return Z_OK;
}
