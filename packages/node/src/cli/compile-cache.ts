import { enableCompileCache } from "node:module";
import { userInfo } from "node:os";
import path from "node:path";

/**
 * Keeps the compiled form of every module in the user's cache folder, so that the next command need not compile it again. Node ties each entry to the content
 * of its module. If the folder is not writable, the command is slower, and otherwise works the same.
 */
export function useCompileCache(env: NodeJS.ProcessEnv): void {
  const folder = cacheFolder(env);
  if (env["NODE_COMPILE_CACHE"] === undefined && folder !== undefined)
    enableCompileCache(path.join(folder, "ergon", "compile-cache"));
}

/** Makes a folder that only this user can write, because another user could put code into a cache in a shared folder. */
function cacheFolder({ XDG_CACHE_HOME: told }: NodeJS.ProcessEnv): string | undefined {
  if (told !== undefined && path.isAbsolute(told)) return told;
  try {
    // Do not use $HOME: under sudo it may be the folder of another user, who could not write there afterwards.
    const { homedir } = userInfo();
    return path.join(homedir, process.platform === "darwin" ? "Library/Caches" : ".cache");
  } catch {
    return undefined;
  }
}
