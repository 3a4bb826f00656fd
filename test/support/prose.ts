/**
 * The sentences of a Markdown text, each in one line and without marks: those of paragraphs, list items and cells of tables. Headings, heads of
 * tables, fences and quotations are no sentences; code and quoted words inside a sentence stand as one word.
 */
export function sentencesOf(markdown: string): readonly string[] {
  return blocksOf(markdown).flatMap((block) =>
    withoutMarks(block)
      .split(/(?<=[.!?])\s+(?=[\p{Lu}\d])/u)
      .filter((sentence) => /\p{L}/u.test(sentence)),
  );
}

/** The comments of a source text as Markdown: `//`, `#` and block comments. Lines that are indented inside a comment are commands, and are left out. */
export function commentsOf(source: string): string {
  return source.split("\n").map(commentOf).join("\n");
}

function commentOf(line: string): string {
  const [, whole] = /^\s*(?:\/\/|#(?![!\w])|\/?\*+(?!\/))(.*)$/.exec(line) ?? [];
  if (whole !== undefined) return whole.startsWith("   ") ? "" : whole.replace(/\s*\*\/$/, "");
  const [, trailing] = / (?:\/\/|#) (.*)$/.exec(line) ?? [];
  return trailing === undefined ? "" : `\n${trailing}\n`;
}

/** Paragraphs, list items and cells: each is a text of its own. */
function blocksOf(markdown: string): readonly string[] {
  const blocks: string[] = [];
  let isOpen = false;
  const lines = markdown.replaceAll(/^```[\s\S]*?^```$/gm, "").replaceAll(/<!--[\s\S]*?-->/g, "");
  for (const line of lines.replaceAll(/^\|.*\n(?=\|[-: |]+\|$)/gm, "").split("\n")) {
    const text = line.trim();
    const [, item] = /^(?:[-*]|\d+\.) +(.+)$/.exec(text) ?? [];
    if (text === "" || /^(?:#|>|\|[-: |]+\|$)/.test(text)) isOpen = false;
    else if (text.startsWith("|")) {
      blocks.push(
        ...text
          .slice(1, -1)
          .split(/(?<!\\)\|/)
          .map((cell) => cell.trim()),
      );
      isOpen = false;
    } else if (isOpen && item === undefined) blocks.push(`${blocks.pop() ?? ""} ${text}`);
    else {
      blocks.push(item ?? text);
      isOpen = true;
    }
  }
  return blocks;
}

function withoutMarks(text: string): string {
  return text
    .replaceAll(/``?[^`]+``?/g, "code")
    .replaceAll(/"[^"]*"|“[^”]*”/g, "quote")
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/\*\*|__|(?<!\w)[*_]|[*_](?!\w)/g, "");
}
