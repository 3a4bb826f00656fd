/** The assumed width of a terminal that reports none. */
const USUAL_COLUMNS = 80;
/** The least room for the second column, below which the text does not keep it. */
const LEAST_ROOM = 24;

export function columnsOf({ columns = USUAL_COLUMNS }: { readonly columns?: number | undefined }): number {
  return Math.max(1, columns);
}

/**
 * Breaks lines that are wider than a terminal between words, because the terminal would break them inside words. It indents a continued line below the line's
 * text, or below the second column if the line has two columns with two or more spaces between them. A word that is wider than the terminal stays whole.
 */
export function wrapText(text: string, columns: number): string {
  return text
    .split("\n")
    .map((line) => wrapLine(line, columns))
    .join("\n");
}

function wrapLine(line: string, columns: number): string {
  if (line.length <= columns) return line;
  const [lead = ""] = /^ */.exec(line) ?? [];
  const [first = ""] = /^ *\S+(?: \S+)* {2,}(?=\S)/.exec(line) ?? [];
  const indent = first !== "" && columns - first.length >= LEAST_ROOM ? first.length : lead.length + 2;
  const begin = first === "" ? lead : first;
  return [...fill(line.slice(begin.length), columns - begin.length, columns - indent)]
    .map((part, index) => (index === 0 ? begin : " ".repeat(indent)) + part)
    .join("\n");
}

/** Breaks a text into lines of this width. The first line has its own width. */
export function* fill(text: string, firstWidth: number, width: number = firstWidth): Generator<string, void, void> {
  let line = "";
  let room = firstWidth;
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      yield line;
      line = word;
      room = width;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  yield line;
}
