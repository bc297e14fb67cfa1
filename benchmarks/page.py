"""The page of the documentation that the benchmarks write: its tables stand between comments that name them."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "performance.md"
MISSING = "Not measured yet."


def blocks(text):
    """Return the names of the tables for which the page has a place, in order."""
    return re.findall(r"<!-- bench: (.+?) -->", text)


def fill(text, tables, facts):
    """Return the page with its tables anew.

    Args:
        text: The page as it is.
        tables: The results, as `results.Table` writes them.
        facts: When and where they were measured, in lines.
    """
    made = {table["name"]: markdown(table["columns"], table["rows"]) for table in tables}
    made["goals"] = goals([goal for table in tables for goal in table["goals"]])
    made["facts"] = "\n".join(facts)
    if unknown := set(made) - set(blocks(text)):
        raise SystemExit(f"{PAGE} has no place for {', '.join(sorted(unknown))}: add <!-- bench: NAME -->")
    for name in blocks(text):
        pattern = rf"(<!-- bench: {re.escape(name)} -->\n).*?(\n<!-- end -->)"
        body = made.get(name, MISSING)
        text = re.sub(pattern, lambda match, body=body: f"{match[1]}\n{body}\n{match[2]}", text, flags=re.DOTALL)
    return text


def goals(found):
    """Return all goals as one table, by number."""
    rows = [
        [str(goal["number"]), goal["text"], goal["measured"], "met" if goal["met"] else "**missed**"]
        for goal in sorted(found, key=lambda goal: goal["number"])
    ]
    return markdown(["goal", "what", "measured", ""], rows)


def markdown(columns, rows):
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows))
