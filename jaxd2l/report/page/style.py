"""The looks of a page: one palette for light and one for dark, and the rules of the pages and their charts.

Every colour of text stands at a contrast of at least 4.5 to its ground in both palettes, every line of a chart at 3
(WCAG 2.2, 1.4.3 and 1.4.11); a test computes them.
"""

HEAT = 0.55  # opacity of the accent under the fullest cell of a confusion matrix: text on it stays readable
SERIES = 6  # colours of lines; each has a marker of its own too

LIGHT = {
    "ground": "#ffffff",
    "raised": "#f5f6f8",
    "rule": "#d5d9e0",
    "axis": "#6b7280",
    "text": "#16181d",
    "quiet": "#545b68",
    "accent": "#2f6fbf",
    "right": "#1a7037",
    "wrong": "#b3261e",
    "series-0": "#1f5fad",
    "series-1": "#c2410c",
    "series-2": "#15803d",
    "series-3": "#8b2fb8",
    "series-4": "#8a6100",
    "series-5": "#0e7490",
}
DARK = {
    "ground": "#14161a",
    "raised": "#1e2127",
    "rule": "#383d47",
    "axis": "#8b93a1",
    "text": "#eceef2",
    "quiet": "#aeb5c1",
    "accent": "#3f7fd0",
    "right": "#6fce8b",
    "wrong": "#ff8f86",
    "series-0": "#77b0f5",
    "series-1": "#ff9b66",
    "series-2": "#6fd08c",
    "series-3": "#d398f5",
    "series-4": "#e3bb4b",
    "series-5": "#5fcbe0",
}


def _palette(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


def variables(selector: str) -> str:
    """The palettes as CSS variables of `selector`: light, and dark where the reader's system is."""
    return (
        f"{selector}{{{_palette(LIGHT)}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{{selector}{{{_palette(DARK)}}}}}\n"
    )


CHART = """\
svg text{font:13px system-ui,sans-serif;fill:var(--text)}
svg .quiet{fill:var(--quiet)}
svg .title{font-weight:600}
svg .grid{stroke:var(--rule);stroke-width:1}
svg .axis{stroke:var(--axis);stroke-width:1;fill:none}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
svg .thin{fill:none;stroke-width:1.2;opacity:.75}
svg .bar{fill:var(--accent)}
svg .ideal{stroke:var(--quiet);stroke-dasharray:4 4;fill:none}
""" + "".join(
    f"svg .series-{i}{{stroke:var(--series-{i})}}svg .mark-{i}{{fill:var(--series-{i})}}\n" for i in range(SERIES)
)

STYLE = (
    variables(":root")
    + CHART
    + f"""\
*{{box-sizing:border-box}}
html{{color-scheme:light dark}}
body{{margin:0 auto;padding:1rem clamp(.75rem,3vw,2.5rem) 3rem;max-width:1280px;background:var(--ground);
color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}}
h1{{font-size:1.7rem;line-height:1.2;margin:.5rem 0;overflow-wrap:anywhere}}
h2{{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:.5rem;border-top:1px solid var(--rule)}}
h3{{font-size:1.02rem;margin:1.5rem 0 .5rem}}
p{{max-width:75ch;margin:.6rem 0;overflow-wrap:anywhere}}
a{{color:var(--series-0)}}
:focus-visible{{outline:3px solid var(--series-1);outline-offset:2px}}
.skip{{position:absolute;left:-999px}}
.skip:focus{{left:1rem;top:.5rem;background:var(--raised);padding:.5rem;z-index:1}}
nav ul{{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;margin:1rem 0;list-style:none}}
nav a{{display:inline-block;padding:.15rem 0}}
.quiet,figcaption,caption,footer{{color:var(--quiet)}}
.note{{border-left:3px solid var(--series-4);background:var(--raised);padding:.5rem .8rem}}
.figures{{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0;padding:0}}
.figures div{{background:var(--raised);border-radius:.5rem;padding:.6rem 1rem;min-width:8.5rem}}
.figures dt{{color:var(--quiet);font-size:.85rem}}
.figures dd{{margin:0;font-size:1.5rem;font-variant-numeric:tabular-nums}}
.figures dd small{{display:block;font-size:.8rem;color:var(--quiet)}}
.charts{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:1rem 2rem}}
figure{{margin:.5rem 0;min-width:0}}
.charts figure{{max-width:580px}}
figure svg{{width:100%;height:auto;display:block}}
img{{height:auto}}
figcaption{{font-size:.9rem;max-width:75ch}}
.scroll{{overflow-x:auto;margin:.75rem 0;max-width:100%}}
table{{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}}
caption{{text-align:left;padding:.2rem 0 .4rem;font-size:.9rem}}
th,td{{padding:.28rem .65rem;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top}}
th[scope=row],td.words,th.words{{text-align:left}}
td.words{{overflow-wrap:anywhere;min-width:14rem}}
td{{white-space:nowrap}}
td.words{{white-space:normal}}
th[scope=row]{{font-weight:500;min-width:6.5rem}}
caption span{{display:block;position:sticky;left:0;max-width:min(75ch,calc(100vw - 1.6rem))}}
thead th{{color:var(--quiet);font-weight:600;border-bottom:2px solid var(--rule)}}
thead th:first-child{{text-align:left}}
.matrix th,.matrix td{{padding:.3rem .45rem;text-align:center}}
.matrix th[scope=row]{{text-align:left;white-space:nowrap;max-width:9rem;overflow:hidden;text-overflow:ellipsis}}
.matrix thead th{{vertical-align:bottom;max-width:7rem;overflow:hidden;text-overflow:ellipsis;font-size:.85rem}}
.matrix td{{min-width:2.9rem}}
.matrix td{{background:color-mix(in srgb,var(--accent) calc(var(--heat,0)*{HEAT * 100:g}%),var(--ground))}}
.matrix td.hit{{font-weight:700}}
.pictures{{display:grid;grid-template-columns:repeat(auto-fill,minmax(112px,1fr));gap:.9rem;padding:0;margin:1rem 0;
list-style:none}}
.pictures figure{{margin:0}}
.pictures img,.maps img{{width:100%;image-rendering:pixelated;border:1px solid var(--rule);display:block}}
.pictures figcaption{{font-size:.84rem;line-height:1.35;overflow-wrap:anywhere}}
.maps img{{max-width:720px;height:auto}}
.maps img.one{{max-width:160px}}
.right{{color:var(--right)}}
.wrong{{color:var(--wrong)}}
pre{{overflow-x:auto;background:var(--raised);padding:.75rem;font-size:.85rem}}
details summary{{cursor:pointer;padding:.3rem 0}}
@media(max-width:600px){{table{{font-size:.84rem}}th,td{{padding:.25rem .4rem}}}}
footer{{margin-top:3rem;font-size:.88rem}}
@media print{{body{{max-width:none;padding:0;font-size:11pt}}.charts{{grid-template-columns:1fr 1fr}}
nav,.skip{{display:none}}
.scroll{{overflow:visible}}td{{white-space:normal}}figure,tr,.figures div{{break-inside:avoid}}
h2,h3{{break-after:avoid}}
.matrix,.wide{{font-size:7pt}}*{{print-color-adjust:exact;-webkit-print-color-adjust:exact}}}}
"""
)
