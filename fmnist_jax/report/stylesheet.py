"""The style of every report's page: one column of readable text, light or dark as the reader's system is."""

STYLESHEET = """
:root {
  --ground: #f6f7f9; --card: #ffffff; --ink: #1c2430; --muted: #5b6675; --line: #dfe4ea; --accent: #0072b2;
  --error: #a61b1b; --error-ground: #fdecea; --warning: #8a4b00; --warning-ground: #fff3dc;
  --note: #1d4f73; --note-ground: #e8f2f9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161c; --card: #1b212a; --ink: #e6eaf0; --muted: #9aa6b5; --line: #303945; --accent: #63b3e4;
    --error: #ffb4ab; --error-ground: #4a1512; --warning: #ffd08a; --warning-ground: #40290a;
    --note: #b5dcf5; --note-ground: #16303f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: clamp(1.5rem, 1.1rem + 2vw, 2.25rem); line-height: 1.2; margin: 0.1rem 0 0.4rem; }
h2 { font-size: 1.25rem; margin: 0 0 1rem; padding-bottom: 0.4rem; border-bottom: 2px solid var(--line); }
h3, h4 { font-size: 1rem; margin: 0 0 0.5rem; }
p { margin: 0 0 0.75rem; max-width: 46rem; }
section { margin-top: 3rem; }
section section { margin-top: 1.75rem; }
.columns section:first-child { margin-top: 0; }
section > * + .scroll, section > * + .columns, .callout + .columns { margin-top: 1.25rem; }
.eyebrow { margin: 0; color: var(--accent); font-weight: 600; font-size: 0.875rem; }
.lead { color: var(--muted); margin: 0 0 1.25rem; }
.callout { border-left: 5px solid; border-radius: 4px; padding: 0.75rem 1rem; margin: 0 0 0.75rem; }
.callout.error { color: var(--error); background: var(--error-ground); }
.callout.warning { color: var(--warning); background: var(--warning-ground); }
.callout.note { color: var(--note); background: var(--note-ground); }
.verdict {
  background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--accent); border-radius: 6px;
  padding: 0.9rem 1.1rem; margin: 0 0 0.75rem;
}
.verdict p { margin: 0 0 0.4rem; max-width: 62rem; color: var(--muted); }
.verdict p:last-child { margin: 0; }
.verdict .about { font-size: 0.875rem; font-weight: 600; }
.verdict .answer { font-size: 1.125rem; line-height: 1.45; color: var(--ink); font-weight: 550; }
a { color: var(--accent); }
.stats {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 10.5rem), 1fr)); gap: 0.75rem;
  margin: 1.25rem 0 0;
}
.stats > div {
  background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 0.75rem 0.9rem;
}
.stats dt { overflow-wrap: anywhere; color: var(--muted); font-size: 0.875rem; line-height: 1.3; }
.stats dd { margin: 0.15rem 0 0; font-size: 1.375rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.stats > div:first-child dd { color: var(--accent); }
.stats small { display: block; font-size: 0.8125rem; font-weight: 400; line-height: 1.35; color: var(--muted); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.75rem; }
.columns > div { min-width: 0; }
figure { margin: 0; }
/* The plots are drawn on white; a white card carries them through the dark scheme. */
img {
  display: block; width: 100%; max-width: 40rem; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 6px;
}
figcaption { color: var(--muted); font-size: 0.875rem; line-height: 1.45; margin-top: 0.6rem; max-width: 40rem; }
.scroll {
  overflow: auto; background: var(--card); border: 1px solid var(--line); border-radius: 6px;
}
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; line-height: 1.4; }
th, td { padding: 0.4rem 0.75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th {
  position: sticky; top: 0; background: var(--card); border-top: 0; box-shadow: 0 1px 0 var(--line);
  color: var(--muted); font-weight: 600; vertical-align: bottom;
}
tbody tr:first-child > * { border-top: 0; }
tbody th { font-weight: 500; }
.numbers th:first-child { white-space: nowrap; position: sticky; left: 0; background: var(--card); }
.numbers thead th:first-child { z-index: 1; }
.columns .numbers th:first-child { white-space: normal; }
.numbers td, .numbers th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums; }
.scroll.numbers, .columns .scroll { max-height: 36rem; }
.scroll + p, .scroll + .callout { margin-top: 0.75rem; }
.numbers td { white-space: nowrap; }
.numbers th, .numbers td { padding-inline: 0.5rem; }
.numbers table { font-size: 0.8125rem; }
.words td { overflow-wrap: anywhere; min-width: 7rem; }
ul { margin: 0 0 0.75rem; padding-left: 1.2rem; max-width: 46rem; }
li { margin-bottom: 0.3rem; }
td ul { list-style: none; padding: 0; margin: 0; }
td li { margin: 0; }
td ul ul { padding-left: 1rem; }
pre {
  background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 0.75rem 1rem; overflow-x: auto;
}
code, .code { font: 0.875rem/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
p code { white-space: nowrap; }
@media (max-width: 30rem) {
  main { padding: 1.25rem 0.9rem 3rem; }
  .stats { grid-template-columns: 1fr 1fr; }
  table, .code { font-size: 0.8125rem; }
  .numbers th:first-child { white-space: normal; min-width: 6rem; max-width: 9rem; overflow-wrap: anywhere; }
  th, td { padding: 0.35rem 0.45rem; }
  /* Too narrow for three columns of words: key and value share a line, and the meaning stands below them. */
  .words thead { display: none; }
  .words tr { display: grid; grid-template-columns: 12.75rem minmax(0, 1fr); padding: 0.2rem 0; }
  .words tr:not(:has(td:nth-child(3))) { grid-template-columns: 6.5rem minmax(0, 1fr); }
  .words tr + tr { border-top: 1px solid var(--line); }
  .words th, .words td { border: 0; padding-block: 0.15rem; }
  .words td:nth-child(3) { grid-column: 1 / -1; color: var(--muted); }
}
@media print { .scroll { overflow: visible; max-height: none; } section { break-inside: avoid; } }
""".strip()
