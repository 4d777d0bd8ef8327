import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';

const root = resolve(import.meta.dirname, '../..');
const directory = resolve(root, process.env.MPBP_VECTORS ?? '../shared/vectors');

/**
 * Public vectors are read where they stand; where they are absent the suite says that it did not
 * run.
 */
export function testWithVectors(
  name: string,
  folder: string,
  body: () => void | Promise<void>,
): void {
  const skip = existsSync(join(directory, folder)) ? false : `no vectors at ${directory}/${folder}`;
  test(name, { skip }, body);
}

/** The caller knows the file's shape; `npm` brings no types for it. */
export function readVectors<T>(path: string): T {
  const bytes = readFileSync(join(directory, path));
  return JSON.parse((path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()) as T;
}

/** Paths of all JSON files below a folder, as `readVectors` takes them. */
export function listVectors(folder: string): string[] {
  const paths: string[] = [];
  for (const name of readdirSync(join(directory, folder)).sort()) {
    const path = join(folder, name);
    if (statSync(join(directory, path)).isDirectory()) paths.push(...listVectors(path));
    else if (name.endsWith('.json')) paths.push(path);
  }
  return paths;
}

export function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replace(/^0x/, ''), 'hex'));
}
