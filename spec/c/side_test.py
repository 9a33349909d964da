"""Side units and broken containers, made from a stream: expected exit status of nrvdec for each."""
import struct
import subprocess
import sys
import zlib

dec, src = sys.argv[1:3]
data = open(src, "rb").read()


def units(d):
    at, out = 8, []
    while at < len(d):
        t, n = d[at:at + 4], struct.unpack("<I", d[at + 4:at + 8])[0]
        out.append((t, d[at + 8:at + 8 + n]))
        at += 12 + n
    return out


def join(us, fix=True):
    out, index = data[:8], 0
    for t, p in us:
        if t == b"iNDX":
            index = len(out)
        if t == b"FEND" and fix:
            p = p[:20] + struct.pack("<Q", index)
        out += t + struct.pack("<I", len(p)) + p + struct.pack("<I", zlib.crc32(t + p))
    return out


def uv(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def sv(v):
    return uv(2 * v if v >= 0 else -2 * v - 1)


base = [u for u in units(data) if u[0] != b"iNDX"]
g = next(i for i, u in enumerate(base) if u[0] == b"GRUP")
head = next(i for i, u in enumerate(base) if u[0] == b"HEAD")
hdr = (b"hDRm", bytes([4]) + bytes(24) + struct.pack("<HH", 1000, 400))
chap = (b"cHAP", struct.pack("<HIIqqH", 1, 1, 1000, -5, 2000, 3) + b"one")


def track(n, kind=0, rate=48000):
    return (b"aTRK", struct.pack("<BBIIIIHI", n, kind, 1, 1, 48000, rate, 2 if rate else 0, 0) + b"\4opus" + b"\0" + b"\3eng" +
            b"\0\0" + struct.pack("<I", 2) + b"xx")


def packets(n, *records):
    return (b"aPKt", struct.pack("<BBH", n, 0, len(records)) + b"".join(records))


p0 = bytes([1 | 2 | 8]) + sv(-312) + uv(960) + uv(3) + b"abc"
p1 = bytes([1 | 16]) + uv(0) + uv(7) + uv(1) + b"d"
far = bytes([1 | 2]) + sv(48000 - 312) + uv(0)
almost = bytes([1 | 2]) + sv(48000 - 313) + uv(0)


def put(*extra, at=g):
    return base[:at] + list(extra) + base[at:]


def change(i, f):
    return base[:i] + [(base[i][0], f(base[i][1]))] + base[i + 1:]


cases = [
    ("plain", join(base), 0),
    ("side units", join(put(hdr, chap, track(3), packets(3, p0, p1))), 0),
    ("packets between and after groups", join(put(track(3)) [:-1] + [packets(3, p0)] + base[-1:]), 0),
    ("a second, less one", join(put(track(3), packets(3, p0, almost))), 0),
    ("a second", join(put(track(3), packets(3, p0, far))), 4),
    ("packet of no track", join(put(track(3), packets(2, p0))), 4),
    ("track numbers do not rise", join(put(track(3), track(3))), 4),
    ("rate of a subtitle", join(put(track(3, 1))), 4),
    ("chapters after a track", join(put(track(3), chap)), 4),
    ("two hDRm", join(put(hdr, hdr)), 4),
    ("hDRm with fields that are not known", join(put((b"hDRm", b"\1" + hdr[1][1:]))), 4),
    ("unknown ancillary", join(put((b"abCd", b"hello"))), 0),
    ("unknown critical", join(put((b"ABCD", b"hello"))), 5),
    ("reserved letter", join(put((b"abcd", b"hello"))), 5),
    ("type of digits", join(put((b"ab1d", b"hello"))), 4),
    ("after FEND", join(base) + b"x", 4),
    ("no FEND", join(base[:-1]), 2),
    ("no group", join(base[:g] + base[-1:]), 4),
    ("wrong index_offset", join(base[:-1] + [(b"FEND", base[-1][1][:20] + struct.pack("<Q", 9))], False), 4),
    ("wrong md5", join(base[:-1] + [(b"FEND", base[-1][1][:4] + bytes(16) + base[-1][1][20:])]), 4),
    ("unknown tool", join(change(head, lambda p: p[:8] + b"\1" + p[9:])), 5),
    ("later reader", join(change(head, lambda p: struct.pack("<HH", 1, 1) + p[4:])), 5),
    ("versions crossed", join(change(head, lambda p: struct.pack("<HH", 0, 1) + p[4:])), 4),
    ("model 9", join(change(head, lambda p: p[:5] + b"\x09" + p[6:])), 5),
    ("too many samples", join(change(head, lambda p: p[:4] + b"\1" + p[5:12] + struct.pack("<HH", 513, 512) + p[16:])), 6),
    ("long unit before HEAD", data[:8] + b"HEAD" + struct.pack("<I", 4097) + bytes(9000), 6),
    ("not HEAD first", data[:8] + b"GRUP" + struct.pack("<I", 2**31) + bytes(9000), 4),
    ("ends in signature", data[:5], 2),
    ("empty", b"", 2),
    ("another signature", b"\x89PNG\r\n\x1a\n", 4),
    ("wrong crc of a unit", join(base)[:60] + bytes([join(base)[60] ^ 1]) + join(base)[61:], 4),
]
crc = base[g][1]
cases.append(("wrong crc of samples", join(change(g, lambda p: p[:3] + bytes([p[3] ^ 1]) + p[4:])), 3))
full = join(base)
cases += [(f"first {n} bytes", full[:n], 2) for n in (9, 20, 64, 100, len(full) - 1)]
bad = 0
for name, bytes_, want in cases:
    open("/tmp/nrv_side.nrv", "wb").write(bytes_)
    r = subprocess.run([dec, "--info", "--packets", "--total-md5", "/tmp/nrv_side.nrv"], capture_output=True, text=True)
    if r.returncode != want:
        bad = 1
        print("BAD", name, r.returncode, "not", want, r.stderr)
    if name == "side units" and ("packet track 3 key 1 pts 648 dts 648 duration 960 skip 0 discard 7 length 1" not in r.stdout
                                 or "chapter -5..2000 one" not in r.stdout):
        bad = 1
        print("BAD", name, r.stdout)
print(len(cases), "cases", "bad" if bad else "ok")
sys.exit(bad)
