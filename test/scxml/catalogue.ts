// The cases of @scion-scxml/test-framework: each a document and what is to become of it.
import { globSync, readFileSync } from "node:fs";
import path from "node:path";

import { bringFramework } from "./framework.ts";

export interface Case {
  /** `group/name`, as in the framework's folders. */
  readonly name: string;
  readonly document: string;
  readonly script: Script;
  /** A case of the W3C: the document itself judges, by the state that it ends in; what is in between is its own. */
  readonly judgesItself: boolean;
  /** The text of a file that the document names, `file:` or not. */
  readonly read: (src: string) => string;
}

interface Script {
  /** The atomic states, once the machine has started and nothing is left to do at once. */
  readonly initialConfiguration: readonly string[];
  readonly events: readonly {
    /** Milliseconds before the event. */
    readonly after?: number;
    readonly event: { readonly name: string };
    readonly nextConfiguration: readonly string[];
  }[];
}

const framework = bringFramework();

/** Why there are no cases. */
export const missing: string | undefined = "missing" in framework ? framework.missing : undefined;

export const cases: readonly Case[] = "missing" in framework ? [] : casesIn(framework.folder);

function casesIn(folder: string): Case[] {
  return globSync("test/*/*.json", { cwd: folder })
    .sort()
    .map((file) => {
      const base = path.join(folder, file.replace(/\.json$/, ""));
      const name = path.relative(path.join(folder, "test"), base).replaceAll(path.sep, "/");
      return {
        name,
        document: readFileSync(`${base}.scxml`, "utf8"),
        script: JSON.parse(readFileSync(`${base}.json`, "utf8")) as Script,
        judgesItself: name.startsWith("w3c-ecma/"),
        read: (src: string) => readFileSync(path.resolve(path.dirname(base), src.replace(/^file:/, "")), "utf8"),
      };
    });
}
