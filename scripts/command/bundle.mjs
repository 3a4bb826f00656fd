// Bundles the ergon command, so that a short command loads a few files in place of hundreds.
//
// The services (dev, node, agent, check) stay outside of the bundle: they load users' machines and agents, which import `@ergon/core` too, and
// it must be the same copy.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { rolldown } from "rolldown";

import { root } from "../bootstrap/paths.mjs";

const cli = path.join(root, "packages/node/src/cli");
const service = /^\.\.\/services\/(.+)\.ts$/;

/** Bundles the sources into `folder`; `services` says where the bundle finds a service. */
export async function bundleCommand(folder, services) {
  const bundle = await rolldown({
    cwd: root,
    input: { ergon: path.join(cli, "main.ts") },
    platform: "node",
    tsconfig: false,
    resolve: { conditionNames: ["@ergon/source", "node", "import"] },
    // msgpackr looks for a native addon, which a command that decodes a few messages does not need.
    transform: { define: { "process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED": '"true"' } },
    plugins: [
      {
        name: "services",
        resolveId(source) {
          const [, name] = service.exec(source) ?? [];
          return name === undefined ? undefined : { id: services(name), external: true };
        },
      },
    ],
    onLog: (level, log) => {
      if (level === "warn") throw new Error(log.message);
    },
  });
  const { output } = await bundle.write({
    dir: folder,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
    externalLiveBindings: false,
  });
  await bundle.close();
  const modules = output.flatMap((chunk) => (chunk.type === "chunk" ? chunk.moduleIds : []));
  writeFileSync(path.join(folder, "licenses.txt"), licensesOf(modules));
}

/** The licenses of the packages whose code is in the bundle: each asks to go with its code. */
function licensesOf(modules) {
  const packages = new Set(
    modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id.replaceAll("\\", "/"))?.[0] ?? []),
  );
  return [...packages]
    .toSorted((one, other) => one.localeCompare(other))
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
      const files = readdirSync(folder).filter((file) => /^licen[cs]e/i.test(file));
      const texts = files.map((file) => readFileSync(path.join(folder, file), "utf8").trim());
      return [`${name} ${version} (${license})`, ...texts].join("\n\n");
    })
    .join("\n\n----\n\n");
}
