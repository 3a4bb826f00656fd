export function bundleCommand(folder: string, services: (name: string) => string): Promise<void>;
