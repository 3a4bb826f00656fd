/** How wide a terminal is taken to be that does not tell. */
const USUAL_COLUMNS = 80;
/** Text of two columns keeps its second one where there is so much room for it. */
const LEAST_ROOM = 24;

export function columnsOf({ columns = USUAL_COLUMNS }: { readonly columns?: number | undefined }): number {
  return Math.max(1, columns);
}

/**
 * Breaks lines that are wider than a terminal between words; the terminal would break them inside words. A continued line is indented below its text. If
 * the line has two columns with two or more spaces between them, it is indented below the second column. A word that is wider than the terminal stays whole.
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

/** Breaks a text into lines of so many characters, the first of its own width. */
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
