// Reads the acceptance list, test/scenarios.txt; its first lines say its format.

export interface Scenario {
  /** A letter, a dash and a number, which may end with a letter: `U-96a`. */
  readonly id: string;
  /** The scenario in one line, or the reason why Ergon leaves it out. */
  readonly text: string;
  readonly leftOut: boolean;
}

export interface ScenarioGroup {
  readonly letter: string;
  readonly name: string;
  readonly scenarios: readonly Scenario[];
}

/** Throws for a line that is neither a group, a scenario nor a comment, and for a number that stands twice. */
export function readScenarios(text: string): ScenarioGroup[] {
  const groups: (ScenarioGroup & { readonly scenarios: Scenario[] })[] = [];
  const known = new Set<string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const [, mark = "", letter = "", number, rest = ""] = /^(-?)([A-Z])(?:-(\d+[a-z]?))? (\S.*)$/.exec(line) ?? [];
    const group = groups.at(-1);
    if (letter !== "" && number === undefined && mark === "") {
      groups.push({ letter, name: rest, scenarios: [] });
      continue;
    }
    const id = `${letter}-${number}`;
    if (number === undefined || group?.letter !== letter) throw new Error(`line ${index + 1} is no scenario: ${line}`);
    if (known.has(id)) throw new Error(`line ${index + 1}: ${id} stands on the list twice`);
    known.add(id);
    group.scenarios.push({ id, text: rest, leftOut: mark === "-" });
  }
  return groups;
}

/** The numbers of scenarios in a test's title, without repetition. */
export function idsIn(title: string, letters: ReadonlySet<string>): string[] {
  const ids = title.match(/\b[A-Z]-\d+[a-z]?\b/g) ?? [];
  return [...new Set(ids)].filter((id) => letters.has(id.slice(0, 1)));
}
