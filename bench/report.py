"""What bench/compare measured, as a Markdown table and as bars."""
import html
import pathlib

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd")


def time_text(ms):
    digits = 3 if ms["min"] < 1 else 2 if ms["min"] < 10 else 1 if ms["min"] < 100 else 0
    return f"{ms['min']:.{digits}f} ({ms['median']:.{digits}f})"


def ratio_text(row):
    if "ratio" not in row:
        return "-"
    return f"~{row['ratio']:.2f}" if row["is_noisy"] else f"**{row['ratio']:.2f}**"


def mean_text(value):
    return "none, every row is noisy" if value is None else f"{value:.2f}"


TITLES = {"infer": "Inference, same weights and input", "train": "Training step (forward, loss, backward, SGD with momentum)"}


def groups(document):
    """(pass, precision) of what was measured, in the order of the document."""
    return list(dict.fromkeys((row["pass"], row["precision"]) for row in sorted(document["rows"], key=lambda row: row["pass"])))


def picture(name, kind, precision):
    return f"{name}-{kind}.svg" if precision == "f32" else f"{name}-{kind}-{precision}.svg"


def chosen(document, kind, precision):
    """Rows of one pass and precision, with as many threads as the run has."""
    return [row for row in document["rows"] if (row["pass"], row["precision"], row["threads"]) == (kind, precision, document["machine"]["threads"])]


def table(document, kind, precision):
    """A line per network, a block of columns per batch (inference), or one block with its batch (training)."""
    rows = chosen(document, kind, precision)
    batches = sorted({row["batch"] for row in rows}) if kind == "infer" else [None]
    heads = ["network"]
    for batch in batches:
        heads += [f"batch {batch}: fovea ms" if batch else "batch", *(["best peer ms"] if batch else ["fovea ms", "PyTorch's better ms", "format"]), "ratio", "MiB fovea / peer"]
    heads += ["start ms fovea / peer", "spread"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        cells = [model]
        for batch in batches:
            row = next((r for r in own if batch in (None, r["batch"])), None)
            if row is None or "ratio" not in row:
                why = "; ".join(f"{name}: {text}" for name, text in (row or {}).get("failures", {}).items()) or "not measured"
                cells += ([] if batch else [str(row["batch"])]) + [why] + ["-"] * (3 if batch else 4)
                continue
            other = "" if not batch or row["peer"] == "ONNX Runtime" else f", {row['peer']}"
            peer = [time_text(row["peer_ms"]) + other] + ([] if batch else [row["peer"].removeprefix("PyTorch ")])
            cells += ([] if batch else [str(row["batch"])]) + [time_text(row["fovea_ms"]), *peer, ratio_text(row), f"{row['fovea_mib']:.0f} / {row['peer_mib']:.0f}"]
        measured = [row for row in own if "ratio" in row]
        if measured:
            spreads = [s for row in measured for s in (row["fovea_spread"], row["peer_spread"])]
            cells += [f"{measured[0]['fovea_start_ms']:.0f} / {measured[0]['peer_start_ms']:.0f}", f"{100 * max(spreads):.0f} %"]
        else:
            cells += ["-", "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def markdown(document):
    machine = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine["versions"].items()) if not name.startswith("fovea"))
    lines = [f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads, {machine['rounds']} rounds of {machine['seconds']} s, "
             f"{machine['wall_s'] / 60:.1f} minutes; {versions}. Minimum (median); ratio of minima, peer / fovea; memory: peak of the process; start: from the start of the "
             f"process to the first answer; spread: between the best two rounds. Other programs took {100 * machine['busy_with_others']:.0f} % of the cores' time.", ""]
    if not document["is_result"]:
        lines += [f"**Not a result:** {'; '.join(document['why_not'])}.", ""]
    if any(row.get("is_noisy") for row in document["rows"]):
        lines += ["A `~` marks a noisy ratio, left out of the means.", ""]
    mean = document["geomean"]
    for kind, precision in groups(document):
        name = f"{kind}_{precision}"
        by_batch = ", ".join(f"batch {key.rsplit('_', 1)[1]}: {mean_text(value)}" for key, value in mean.items() if key.startswith(f"{name}_batch"))
        title = f"{TITLES[kind]}, {precision}" + ("" if precision == "f32" else "; peers f32")
        lines += [f"### {title}", "", f"Geometric mean of the ratios: {mean_text(mean[name])}" + (f" ({by_batch})" if by_batch else "") + ".", "", *table(document, kind, precision), ""]
    for row in document["rows"]:
        if row["threads"] != machine["threads"] and "ratio" in row:
            lines += [f"{row['model']}, batch {row['batch']}, {row['precision']}, {row['threads']} thread: {time_text(row['fovea_ms'])} ms, {row['peer']} {time_text(row['peer_ms'])} ms, "
                      f"ratio {ratio_text(row)}.", ""]
    return "\n".join(lines)


def bars(document, kind, precision):
    """Ratios as horizontal bars, networks from top to bottom as in the table; the line is where both are equally fast. Noisy bars are pale."""
    rows = [row for row in chosen(document, kind, precision) if "ratio" in row]
    batches = sorted({row["batch"] for row in rows})
    models = list(dict.fromkeys(row["model"] for row in rows))
    left, width, thick, top = 190, 560, 7, 46
    step = thick * max(1, len(batches)) + 5
    limit = max([row["ratio"] for row in rows], default=1) * 1.05
    limit = max(limit, 1.2)
    x = lambda ratio: left + width * ratio / limit
    height = top + step * len(models) + 12
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" font-family="sans-serif" font-size="10">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{left}" y="14" font-size="12">How many times faster than the peer: {html.escape(kind)}, {precision}, {document["machine"]["threads"]} threads, {document["machine"]["date"]}</text>']
    for i, batch in enumerate(batches):
        parts += [f'<rect x="{left + 90 * i}" y="22" width="9" height="9" fill="{COLOURS[i % 4]}"/>', f'<text x="{left + 90 * i + 13}" y="30">batch {batch}</text>']
    for i, model in enumerate(models):
        y = top + step * i
        parts.append(f'<text x="{left - 6}" y="{y + step / 2 + 1}" text-anchor="end">{html.escape(model)}</text>')
        for row in (row for row in rows if row["model"] == model):
            at = y + thick * batches.index(row["batch"])
            pale = ' fill-opacity="0.35"' if row["is_noisy"] else ""
            parts += [f'<rect x="{left}" y="{at}" width="{x(row["ratio"]) - left:.1f}" height="{thick - 1}" fill="{COLOURS[batches.index(row["batch"]) % 4]}"{pale}/>',
                      f'<text x="{x(row["ratio"]) + 3:.1f}" y="{at + thick - 1}" font-size="7">{row["ratio"]:.2f}</text>']
    parts += [f'<line x1="{x(1):.1f}" y1="{top - 6}" x2="{x(1):.1f}" y2="{height - 6}" stroke="black" stroke-dasharray="3 2"/>', "</svg>"]
    return "\n".join(parts) + "\n"


def write_docs(document, folder):
    page = pathlib.Path(folder) / "benchmarks.md"
    text = page.read_text()
    begin, end = "<!-- zoo:begin -->\n", "<!-- zoo:end -->"
    if begin not in text or end not in text:
        raise SystemExit(f"compare: '{page}' lacks the marks {begin.strip()} and {end}")
    parts = [markdown(document)]
    for kind, precision in groups(document):
        file = picture("benchmarks", kind, precision)
        (page.parent / file).write_text(bars(document, kind, precision))
        parts.append(f"![How many times faster than the best peer: {kind}, {precision}]({file})\n")
    page.write_text(text[: text.index(begin) + len(begin)] + "\n".join(parts) + text[text.index(end):])
