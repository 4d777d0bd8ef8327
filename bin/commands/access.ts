import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { AuditLog } from '#storage/auditLog.ts';
import { accessPath, makeKey, readAccess, type StoredKey, writeAccess } from '../accessFile.ts';
import { resolveDataDir } from '../dataDir.ts';
import { makeOutput, table } from '../output.ts';

type NewOptions = {
  dataDir: string;
  operator: boolean;
  methods?: string;
  rate?: string;
  json: boolean;
};
type Options = { dataDir: string; json: boolean };

export function accessCommand(): Command {
  const access = new Command('access').description(
    "keys for a node's JSON-RPC; a running node sees every change within a second",
  );
  access
    .command('new')
    .description('make a key and print it, once; the node keeps its hash only')
    .argument('<name>', 'who will use it')
    .requiredOption('--data-dir <dir>', "the node's data directory")
    .option('--operator', "it opens the operator's port as well", false)
    .option('--methods <list>', 'only these, such as eth_*,net_version; all without')
    .option('--rate <units>', 'units a second: a read is 1, a payment 5, a call 20')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp access new shop --data-dir ./node1 --rate 5000')
    .action(create);
  access
    .command('list')
    .description('list the keys')
    .requiredOption('--data-dir <dir>', "the node's data directory")
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp access list --data-dir ./node1')
    .action(list);
  access
    .command('revoke')
    .description('end a key, also where it is in use')
    .argument('<name>', 'whose')
    .requiredOption('--data-dir <dir>', "the node's data directory")
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp access revoke shop --data-dir ./node1')
    .action(revoke);
  return access;
}

async function create(name: string, options: NewOptions): Promise<void> {
  const dir = existing(options.dataDir);
  const keys = readAccess(dir);
  if (keys.some((key) => key.name === name)) {
    const remedy = `mpbp access revoke ${name} --data-dir ${dir}`;
    throw new UserError(EXIT.cannotCreate, `there is a key of ${name}; first: ${remedy}`);
  }
  const { rate } = options;
  if (rate !== undefined && !/^[1-9]\d{0,8}$/.test(rate)) {
    throw new UserError(EXIT.usage, `--rate should be a whole number of units, not "${rate}"`);
  }
  const { key, stored } = makeKey({
    name,
    role: options.operator ? 'operator' : 'user',
    methods: options.methods === undefined ? null : options.methods.split(','),
    unitsPerSecond: rate === undefined ? null : Number(rate),
  });
  await new AuditLog(dir).append('access new', shown(stored));
  writeAccess(dir, [...keys, stored]);
  const lines = [
    key,
    '',
    'It is shown once. A client sends it as "Authorization: Bearer KEY" or "X-Api-Key: KEY";',
    'one that knows nothing but a URL appends /key/KEY to it.',
  ];
  makeOutput(options.json).result({ ...shown(stored), key }, lines.join('\n'));
}

function list(options: Options): void {
  const dir = existing(options.dataDir);
  const keys = readAccess(dir);
  const rows = keys.map(({ name, role, methods, unitsPerSecond, createdAt }) => [
    name,
    role,
    unitsPerSecond === null ? 'usual rate' : `${unitsPerSecond} units/s`,
    methods === null ? 'all methods' : methods.join(','),
    createdAt,
  ]);
  const none = `no keys; make one with: mpbp access new NAME --data-dir ${dir}`;
  makeOutput(options.json).result(keys.map(shown), rows.length === 0 ? none : table(rows));
}

async function revoke(name: string, options: Options): Promise<void> {
  const dir = existing(options.dataDir);
  const keys = readAccess(dir);
  const left = keys.filter((key) => key.name !== name);
  if (left.length === keys.length) {
    throw new UserError(EXIT.usage, `no key of ${name} in ${accessPath(dir)}`);
  }
  await new AuditLog(dir).append('access revoke', { name });
  writeAccess(dir, left);
  makeOutput(options.json).result({ revoked: name }, `the key of ${name} is no longer valid`);
}

function shown({ sha256: _, ...rest }: StoredKey) {
  return rest;
}

function existing(text: string): string {
  const dir = resolveDataDir(text);
  if (!existsSync(dir)) throw new UserError(EXIT.usage, `${dir}: no such folder`);
  return dir;
}
