"""The style sheet of the page."""

# The colours of features are those of Okabe and Ito, which stay apart for the colour-blind, darker
# or lighter where the ground asks for it.
STYLE = """
:root {
  --ground: #ffffff; --panel: #f6f7f9; --ink: #1b1f24; --faint: #5b6470; --edge: #d9dde3;
  --raw: #0072b2; --pca: #b35c00; --encoder: #007a5a;
  --pays: #00704f; --does_not_pay: #9a3412; --cannot_tell: #6b5900;
  --worth: #d5efe6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --panel: #1d2127; --ink: #e8eaed; --faint: #a4adb8; --edge: #363d47;
    --raw: #56b4e9; --pca: #e69f00; --encoder: #2fc79d;
    --pays: #3fd0a4; --does_not_pay: #ff9d6e; --cannot_tell: #f0d35a;
    --worth: #17392f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Hiragino Sans", "Noto Sans JP",
    "Noto Sans CJK JP", "Yu Gothic", sans-serif;
  overflow-wrap: anywhere; -webkit-text-size-adjust: 100%;
}
header, main { max-width: 60rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.4rem; line-height: 1.3; margin: .2rem 0 1.2rem; }
h2 { font-size: 1.15rem; margin: 0 0 .7rem; }
h3 { font-size: 1rem; margin: 1.1rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
ul { padding-left: 1.2rem; margin: .5rem 0; }
.kind { color: var(--faint); margin: 0; }
section { margin: 0 0 2.2rem; }
code { font: .92em ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
pre { background: var(--panel); border: 1px solid var(--edge); border-radius: 6px;
  padding: .6rem .8rem; white-space: pre-wrap; margin: .5rem 0; }
data { white-space: nowrap; }
.note, figcaption { color: var(--faint); font-size: .875rem; }
.verdict { background: var(--panel); border: 1px solid var(--edge); border-radius: 8px;
  border-left: 6px solid var(--cannot_tell); padding: 1rem 1.1rem; }
.verdict h2 { font-size: .875rem; font-weight: 600; color: var(--faint); margin: 0; }
.verdict h3 { margin-top: .9rem; }
.verdict ul { list-style: none; padding: 0; font-size: .95rem; }
.verdict li { margin: .45rem 0; font-variant-numeric: tabular-nums; }
.decision { font-size: 1.75rem; font-weight: 700; line-height: 1.2; margin: .2rem 0 .6rem;
  color: var(--cannot_tell); }
.verdict.pays { border-left-color: var(--pays); }
.verdict.pays .decision { color: var(--pays); }
.verdict.does_not_pay { border-left-color: var(--does_not_pay); }
.verdict.does_not_pay .decision { color: var(--does_not_pay); }
.badge { border: 1px solid; border-radius: 999px; padding: .05rem .55rem; font-size: .8rem;
  font-weight: 600; white-space: nowrap; }
.badge.pays { color: var(--pays); }
.badge.does_not_pay { color: var(--does_not_pay); }
.badge.cannot_tell { color: var(--cannot_tell); }
.leaks { border: 1px solid var(--does_not_pay); border-radius: 8px; padding: 1rem 1.1rem; }
.figures { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
.tables { display: grid; gap: 0 2.2rem;
  grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
figure { margin: 0; max-width: 30rem; }
.figures > figure:only-child { max-width: 36rem; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { margin-top: .3rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; padding: 0;
  font-size: .9rem; margin: 1rem 0 .5rem; }
.key { width: 24px; height: 12px; vertical-align: middle; overflow: visible; }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; margin: .4rem 0; }
td { white-space: nowrap; }
.units td { white-space: normal; }
th, td { padding: .32rem .3rem; border-bottom: 1px solid var(--edge); text-align: right;
  vertical-align: top; overflow-wrap: normal; }
.units code { overflow-wrap: anywhere; }
.units th code { white-space: nowrap; }
th:first-child, .units th, .units td { text-align: left; }
th:first-child { padding-left: 0; }
th { font-weight: 500; }
thead th { color: var(--faint); font-weight: 600; vertical-align: bottom; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .6rem;
  margin: 0 0 .8rem; }
.facts div { background: var(--panel); border-radius: 6px; padding: .5rem .7rem; }
.facts dt { color: var(--faint); font-size: .8rem; }
.facts dd { margin: 0; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.method { color: var(--faint); font-size: .9rem; }
.method h2 { color: var(--ink); }
svg text { fill: var(--faint); font-size: 12px; }
svg text.row { fill: var(--ink); font-size: 13px; }
.grid { stroke: var(--edge); stroke-width: 1; }
.zero { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 3 3; }
.worth { fill: var(--worth); }
.line { fill: none; stroke: currentColor; stroke-width: 2; }
.bar { stroke: currentColor; stroke-width: 1.5; }
.bar.pays, .bar.does_not_pay, .bar.cannot_tell { stroke-width: 4; stroke-linecap: round; }
.mark { fill: currentColor; }
svg .raw { color: var(--raw); }
svg .pca { color: var(--pca); }
svg .encoder { color: var(--encoder); }
svg .pays { color: var(--pays); }
svg .does_not_pay { color: var(--does_not_pay); }
svg .cannot_tell { color: var(--cannot_tell); }
@media (max-width: 30rem) {
  table { font-size: .8rem; }
  th, td { padding: .3rem .25rem; }
}
@media print { section { break-inside: avoid; } }
"""
