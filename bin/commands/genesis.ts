import { existsSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Json, JsonNumber, type JsonObject, parseStrictJson } from '#src/lib/strictJson.ts';
import { formatAddress } from '#src/types/address.ts';
import {
  type Genesis,
  genesisNetworkId,
  genesisToJson,
  genesisWarnings,
} from '#src/types/genesis.ts';
import { asWei, formatAmount, parseAmount } from '#src/types/units.ts';
import { addressArgument, wholeNumber } from '../arguments.ts';
import { readGenesis, readText, resolveDataDir } from '../dataDir.ts';
import { openNodeKeys, publicKeysOf } from '../nodeKeys.ts';
import { makeOutput } from '../output.ts';
import { predeploys } from '../predeploys.ts';

const defaultFile = 'genesis.json';

export function genesisCommand(): Command {
  const genesis = new Command('genesis').description(
    'a genesis made by several members, each adding its own part and passing the file on',
  );
  genesis
    .command('new')
    .description('begin a draft: chain id, fees, first balances')
    .option('--file <file>', 'the draft', defaultFile)
    .requiredOption('--chain-id <n>', 'a number no other network uses', wholeNumber(1, 2 ** 53 - 1))
    .option('--alloc <address=MPB...>', 'first balances, such as 0x…=1000')
    .option('--predeploys <set>', 'contracts that tools expect: standard')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp genesis new --chain-id 6727 --alloc 0xf39F…2266=1000',
    )
    .action(draft);
  genesis
    .command('add-member')
    .description('add a member and its validator to the draft, from its own keys')
    .option('--file <file>', 'the draft', defaultFile)
    .requiredOption('--data-dir <dir>', 'where mpbp keys new made the keys')
    .option('--password-file <file>', 'password of the node keys')
    .requiredOption('--id <text>', 'short name of the member')
    .option('--name <text>', 'full name; the short one if left out')
    .requiredOption('--stake <n>', 'weight of its vote', wholeNumber(1, 2 ** 53 - 1))
    .requiredOption('--address <multiaddr...>', 'where others reach it: /dns4/node.bank/tcp/30303')
    .requiredOption('--operator <address>', "the member's account")
    .option('--fee-recipient <address>', 'where its fees go; the operator if left out')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp genesis add-member --data-dir ./node1 --id alpha --stake 100 \\\n' +
        '      --address /dns4/node.alpha.example/tcp/30303 --operator 0xf39F…2266',
    )
    .action(addMember);
  genesis
    .command('check')
    .description('what is missing, what is risky, and the hash that all members compare')
    .argument('[file]', 'the genesis', defaultFile)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp genesis check genesis.json')
    .action(check);
  genesis
    .command('hash')
    .description('the network id: the hash of the meaning, whatever the file looks like')
    .argument('[file]', 'the genesis', defaultFile)
    .addHelpText('after', '\nExample:\n  $ mpbp genesis hash genesis.json')
    .action((file: string) => {
      process.stdout.write(`${genesisNetworkId(readGenesis(readText(file), file))}\n`);
    });
  return genesis;
}

type Draft = Record<string, unknown> & { members: unknown[]; validators: unknown[] };

type DraftOptions = {
  file: string;
  chainId: number;
  alloc?: string[] | string;
  predeploys?: string;
};

function draft(options: DraftOptions): void {
  if (existsSync(options.file)) {
    throw new UserError(EXIT.cannotCreate, `${options.file} is there already; kept as it is`);
  }
  const alloc: Record<string, { balance: string; code?: string }> = {};
  for (const pair of [options.alloc ?? []].flat()) {
    const [addressText = '', amountText = ''] = pair.split('=');
    const address = addressArgument(addressText, '--alloc');
    const amount = parseAmount(amountText);
    if (!amount.ok) throw new UserError(EXIT.usage, `--alloc: "${amountText}" is not an amount`);
    alloc[formatAddress(address)] = { balance: amount.value.toString() };
  }
  for (const [address, code] of Object.entries(predeploysOf(options))) {
    alloc[address] = { balance: alloc[address]?.balance ?? '0', code };
  }
  const begun = {
    config: { chainId: options.chainId },
    timestamp: Math.floor(Date.now() / 1_000),
    members: [],
    validators: [],
    alloc,
  };
  writeJson(options.file, begun);
  process.stdout.write(`${options.file} begun; next: mpbp genesis add-member --help\n`);
}

function predeploysOf({ predeploys: set }: DraftOptions): Readonly<Record<string, string>> {
  if (set === undefined) return {};
  const found = predeploys[set];
  if (found !== undefined) return found;
  const known = Object.keys(predeploys).join(', ');
  throw new UserError(EXIT.usage, `--predeploys: there is no set "${set}"; known: ${known}`);
}

type MemberOptions = {
  file: string;
  dataDir: string;
  passwordFile?: string;
  id: string;
  name?: string;
  stake: number;
  address: string[] | string;
  operator: string;
  feeRecipient?: string;
};

async function addMember(options: MemberOptions): Promise<void> {
  const begun = parseDraft(readText(options.file), options.file);
  const path = resolveDataDir(options.dataDir);
  const keys = await publicKeysOf(await openNodeKeys(path, options.passwordFile ?? null));
  const operator = addressArgument(options.operator, '--operator');
  const feeRecipient =
    options.feeRecipient === undefined
      ? operator
      : addressArgument(options.feeRecipient, '--fee-recipient');
  begun.members.push({ id: options.id, name: options.name ?? options.id });
  begun.validators.push({
    memberId: options.id,
    ...keys,
    addresses: [options.address].flat(),
    operator: formatAddress(operator),
    stake: `${options.stake}`,
    feeRecipient: formatAddress(feeRecipient),
  });
  // Refused before it is written: the others get a file that is right so far.
  readGenesis(JSON.stringify(begun), options.file);
  writeJson(options.file, begun);
  process.stdout.write(
    `${options.file} has ${begun.validators.length} validators; pass it on, ` +
      'and when all are in it: mpbp genesis check\n',
  );
}

function check(file: string, options: { json: boolean }): void {
  const genesis = readGenesis(readText(file), file);
  const warnings = genesisWarnings(genesis);
  const networkId = genesisNetworkId(genesis);
  const supply = [...genesis.alloc.values()].reduce((sum, { balance }) => sum + balance, 0n);
  const lines = [
    `${genesis.members.length} members, ${genesis.validators.length} validators, ` +
      `chain id ${genesis.config.chainId}, ${formatAmount(asWei(supply))} MPB`,
    ...warnings.map((warning) => `warning: ${warning}`),
    ...missing(genesis).map((text) => `warning: ${text}`),
    `network id ${networkId}`,
    'every member compares this id before it runs: mpbp init --genesis FILE --data-dir DIR',
  ];
  makeOutput(options.json).result(
    { networkId, warnings, genesis: genesisToJson(genesis) },
    lines.join('\n'),
  );
}

function missing(genesis: Genesis): string[] {
  const count = genesis.validators.length;
  const found: string[] = [];
  if (count < 4) found.push(`${count} validators: none of them may fail (4 tolerate one)`);
  if (genesis.alloc.size === 0) found.push('nobody has coin: no fee can be paid');
  return found;
}

function parseDraft(text: string, file: string): Draft {
  const json = parseStrictJson(text);
  if (!json.ok) {
    const { path, message } = json.refusal;
    throw new UserError(EXIT.badData, `${file}: ${path}: ${message}`);
  }
  const draft = plain(json.value) as Partial<Draft> | null;
  if (Array.isArray(draft?.members) && Array.isArray(draft.validators)) return draft as Draft;
  throw new UserError(EXIT.badData, `${file}: not a draft; begin one with: mpbp genesis new`);
}

/** For JSON.stringify: what another member wrote comes out as it was, every digit of it. */
function plain(json: Json): unknown {
  if (json instanceof JsonNumber) {
    const exact = /^\d+$/.test(json.text) && Number.isSafeInteger(Number(json.text));
    return exact ? Number(json.text) : json.text;
  }
  if (Array.isArray(json)) return (json as readonly Json[]).map(plain);
  if (!(json instanceof Map)) return json;
  return Object.fromEntries([...(json as JsonObject)].map(([key, value]) => [key, plain(value)]));
}

function writeJson(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
