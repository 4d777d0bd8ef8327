import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';

/** The law of design/architecture.md, as far as a machine can hold it. */
const root = join(import.meta.dirname, '..');
const rooms = ['src', 'consensus', 'p2p', 'storage', 'bin'];
const files = [...rooms, 'test'].flatMap((room) => sourcesBelow(room));
const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const product = files.filter((file) => !file.startsWith('test/'));

/** Inside src a file imports only from its left. */
const chain = ['lib', 'crypto', 'types', 'ledger', 'history', 'pool', 'chain', 'feed', 'rpc'];
const mayImport: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(chain.map((name, at) => [name, chain.slice(0, at + 1)])),
  wallet: ['lib', 'crypto', 'types', 'wallet'],
  audit: ['lib', 'crypto', 'types', 'ledger', 'history', 'chain', 'audit'],
};

describe('the house', () => {
  it('has only the rooms of the plan at the top', () => {
    const allowed = new Set([...rooms, 'test', 'docs', 'node_modules', 'bench-results', 'dist']);
    const folders = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .filter((name) => !allowed.has(name) && name !== 'devnet');
    assert.deepEqual(folders, []);
  });

  it('keeps the arrows between rooms', () => {
    const reach: Readonly<Record<string, readonly string[]>> = {
      src: ['src'],
      consensus: ['src', 'consensus'],
      p2p: ['src', 'p2p'],
      storage: ['src', 'storage'],
      bin: rooms,
    };
    for (const file of product) {
      const room = roomOf(file);
      for (const target of localImports(file)) {
        const other = roomOf(target);
        assert.ok(reach[room]?.includes(other), `${file} must not import ${target}`);
      }
    }
  });

  it('keeps the arrows inside src', () => {
    for (const file of product.filter((name) => name.startsWith('src/'))) {
      const part = partOf(file);
      const allowed = mayImport[part];
      assert.ok(allowed !== undefined, `${file}: src/${part} is not in the plan`);
      for (const target of localImports(file)) {
        assert.ok(allowed.includes(partOf(target)), `${file} must not import ${target}`);
      }
    }
  });

  it('keeps p2p free of the chain: bytes in, verdicts out', () => {
    for (const file of product.filter((name) => name.startsWith('p2p/'))) {
      for (const target of localImports(file)) {
        const lib = target.startsWith('src/lib/') || target.startsWith('p2p/');
        assert.ok(lib, `${file} must not import ${target}`);
      }
    }
  });

  it('imports each great library in one file only', () => {
    const homes: readonly [RegExp, RegExp][] = [
      [/^(libp2p|@libp2p\/|@chainsafe\/|@multiformats\/)/, /^p2p\/libp2p\.ts$/],
      [/^level$/, /^storage\/levelShelf\.ts$/],
      [/^secp256k1/, /^src\/crypto\//],
      [/^@noble\//, /^(src\/crypto\/|p2p\/libp2p\.ts$)/],
      [/^hash-wasm$/, /^src\/crypto\//],
      [/^@ethereumjs\//, /^src\/ledger\/evm\//],
      [/^commander$/, /^bin\//],
      [/^ws$/, /^src\/rpc\//],
    ];
    for (const file of product) {
      for (const name of packageImports(file)) {
        for (const [library, home] of homes) {
          if (library.test(name)) assert.match(file, home, `${file} must not import ${name}`);
        }
      }
    }
  });

  it('has no import cycles', () => {
    const graph = new Map(product.map((file) => [file, localImports(file)]));
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' -> ')}`);
      if (done.has(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of product) visit(file, []);
  });

  it('has no clock, chance or timer where the result must be the same everywhere', () => {
    const pure = /^(consensus\/core|src\/types|src\/ledger|src\/history)\//;
    // The EVM's library has promises in its interface, and waits for nothing else.
    const promising = /^src\/ledger\/evm\//;
    const words = ['Date\\.', 'new Date', 'Math\\.random', 'set(Timeout|Interval|Immediate)'];
    words.push('performance\\.', 'process\\.');
    const waits = ['async ', 'await ', 'Promise\\b'];
    for (const file of product.filter((name) => pure.test(name))) {
      const all = promising.test(file) ? words : [...words, ...waits];
      const banned = new RegExp(`\\b(${all.join('|')})`);
      for (const [index, line] of linesOf(file)) {
        assert.doesNotMatch(line, banned, `${file}:${index}: ${line.trim()}`);
      }
    }
  });

  it('has no any, no default export, no barrel and no file without a name', () => {
    for (const file of product) {
      assert.doesNotMatch(file, /(^|\/)(index|util|utils|helpers|misc|common)\.ts$/);
      for (const [index, line] of linesOf(file)) {
        assert.doesNotMatch(line, /(:|<|\bas) any\b/, `${file}:${index}`);
        assert.doesNotMatch(line, /^export default/, `${file}:${index}`);
      }
    }
  });

  it('keeps lines, files and lib within their tripwires', () => {
    for (const file of files) {
      const lines = linesOf(file);
      for (const [index, line] of lines) {
        assert.ok(line.length <= 100, `${file}:${index} is ${line.length} columns wide`);
      }
      if (product.includes(file)) {
        assert.ok(lines.length - 1 <= 400, `${file} has ${lines.length} lines`);
      }
    }
    assert.ok(sourcesBelow('src/lib').length <= 10, 'src/lib has at most ten files');
  });
});

function sourcesBelow(folder: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (entry.name === 'node_modules') continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...sourcesBelow(path));
    else if (entry.name.endsWith('.ts')) found.push(path);
  }
  return found;
}

/** Source without comments, which may say whatever they like. */
function linesOf(file: string): [number, string][] {
  const text = (sources.get(file) ?? '').replace(/\/\*[\s\S]*?\*\//g, (comment) =>
    comment.replace(/[^\n]/g, ''),
  );
  return text.split('\n').map((line, at) => [at + 1, line.replace(/(^|\s)\/\/.*$/, '')]);
}

function specifiers(file: string): string[] {
  const text = linesOf(file)
    .map(([, line]) => line)
    .join('\n');
  const pattern = /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
}

function localImports(file: string): string[] {
  return specifiers(file).flatMap((name) => {
    if (name.startsWith('#')) return [name.slice(1)];
    if (name.startsWith('.')) return [relative(root, join(root, dirname(file), name))];
    return [];
  });
}

function packageImports(file: string): string[] {
  return specifiers(file).filter((name) => !name.startsWith('#') && !name.startsWith('.'));
}

function roomOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function partOf(path: string): string {
  return path.split('/')[1] ?? '';
}
