/** Damage from a seed: which file, which kind, where. */
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { SeededRandom } from '#src/lib/random.ts';

export const kinds = ['flip', 'zero', 'truncate', 'delete', 'swap'] as const;
export type Kind = (typeof kinds)[number];
export type Mutation = { readonly kind: Kind; readonly file: string; readonly note: string };

const zeroedBytes = 512;

/** Damages one file of the directory; null where it would have changed nothing. */
export function mutate(dir: string, old: string, random: SeededRandom): Mutation | null {
  const groups = groupsOf(dir);
  // By group first: a directory has many tables and one CURRENT.
  const group = random.pick([...groups.keys()]);
  const file = random.pick(groups.get(group) ?? []);
  const kind = random.pick(kinds);
  const path = join(dir, file);
  const before = readFileSync(path);
  const note = change(kind, path, file, { old, random, before });
  const isSame = existsSync(path) && readFileSync(path).equals(before);
  return isSame ? null : { kind, file, note };
}

type Around = { old: string; random: SeededRandom; before: Buffer };

function change(kind: Kind, path: string, file: string, { old, random, before }: Around): string {
  const at = random.below(Math.max(1, before.length));
  switch (kind) {
    case 'flip': {
      const bit = random.below(8);
      const bytes = Buffer.from(before);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      if (before.length > 0) writeFileSync(path, bytes);
      return `bit ${bit} of byte ${at} of ${before.length}`;
    }
    case 'zero': {
      const bytes = Buffer.from(before).fill(0, at, Math.min(before.length, at + zeroedBytes));
      writeFileSync(path, bytes);
      return `from byte ${at} of ${before.length}`;
    }
    case 'truncate':
      truncateSync(path, at);
      return `at byte ${at} of ${before.length}`;
    case 'delete':
      rmSync(path);
      return `${before.length} bytes`;
    case 'swap': {
      // A file that has no older self gets another of its kind.
      const same = join(old, file);
      const others = (groupsOf(old).get(groupOf(file)) ?? []).map((name) => join(old, name));
      const from = existsSync(same) && random.chance(0.5) ? same : random.pick([same, ...others]);
      if (existsSync(from)) copyFileSync(from, path);
      return `by ${from.slice(old.length + 1)}`;
    }
  }
}

/** `chain/*.ldb`, `chain/CURRENT`, `pool/*.log`... */
export function groupOf(file: string): string {
  return file.replace(/\d{6,}(?=\.(log|ldb))/, '*').replace(/MANIFEST-\d+/, 'MANIFEST-*');
}

function groupsOf(dir: string): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();
  for (const name of names) {
    if (!statSync(join(dir, name)).isFile()) continue;
    const group = groupOf(name);
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  return groups;
}
