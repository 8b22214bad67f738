#!/bin/bash
# Makes noto-sans-sc.ttf, the font that is compiled into dxgate: Noto Sans SC Regular (SIL Open Font License, LICENSE beside
# this file) cut down to the characters below. Run it in an empty folder; needs npm, python3-venv and Debian's unicode-data.
#
#   all of GB/T 2312 (signs and 6,763 characters), all 8,105 characters of 《通用规范汉字表》 (Unihan's kTGH, what names
#   of people and places may be made of), printable ASCII and Latin-1, and the signs that the documents draw.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

python3 -m venv venv
venv/bin/pip install --quiet 'fonttools==4.68.0'
npm pack --silent '@expo-google-fonts/noto-sans-sc@0.4.3' >/dev/null
tar xzf expo-google-fonts-noto-sans-sc-0.4.3.tgz

venv/bin/python - >characters.txt <<'PYTHON'
import bz2

wanted = {chr(c) for c in (*range(0x20, 0x7F), *range(0xA0, 0x100))}
wanted |= set("—…‘’“”·•→←↑↓√×÷≤≥≈±℃㎡№①②③④⑤⑥⑦⑧⑨⑩□■✓●○◆◇▲△▼▽★☆█▏▎▍▌▋▊▉〇￥¥€")
for high in range(0xA1, 0xF8):
    for low in range(0xA1, 0xFF):
        try:
            wanted.add(bytes((high, low)).decode("gb2312"))
        except UnicodeDecodeError:
            pass
with bz2.open("/usr/share/unicode/Unihan_OtherMappings.txt.bz2", "rt", encoding="utf-8") as lines:
    for line in lines:
        if not line.startswith("#") and "\tkTGH\t" in line:
            wanted.add(chr(int(line.split("\t")[0][2:], 16)))
print("".join(sorted(wanted)), end="")
PYTHON

venv/bin/pyftsubset package/400Regular/NotoSansSC_400Regular.ttf --text-file=characters.txt \
  --output-file=subset.ttf --layout-features='' --no-hinting --desubroutinize \
  --notdef-outline --name-IDs=0,1,2,3,4,5,6,13,14 --drop-tables+=GSUB,GPOS,GDEF,vhea,vmtx,VORG,STAT

# The ticked box of the forms, which the font lacks, is its box and its tick.
venv/bin/python - "$here/noto-sans-sc.ttf" <<'PYTHON'
import sys
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

font = TTFont("subset.ttf", recalcTimestamp=False)
of = font.getBestCmap()
pen = TTGlyphPen(font.getGlyphSet())
pen.addComponent(of[0x25A1], (1, 0, 0, 1, 0, 0))
pen.addComponent(of[0x2713], (1, 0, 0, 1, 160, 10))
order = font.getGlyphOrder() + ["ticked"]
font.setGlyphOrder(order)
font["glyf"].glyphOrder = order
font["glyf"]["ticked"] = pen.glyph()
font["hmtx"]["ticked"] = font["hmtx"][of[0x25A1]]
for table in font["cmap"].tables:
    if table.isUnicode():
        table.cmap[0x2611] = "ticked"
font.save(sys.argv[1])
PYTHON
cp package/LICENSE_FONT "$here/LICENSE"
ls -l "$here/noto-sans-sc.ttf"
