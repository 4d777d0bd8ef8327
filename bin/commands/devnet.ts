import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { genesisTokenAddress } from '#src/ledger/payments/founding.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { addressOfKey, generatedPasswordCost, sealKey } from '#src/wallet/keystore.ts';
import { mnemonicKey } from '#src/wallet/mnemonic.ts';
import { wholeNumber } from '../arguments.ts';
import { Client } from '../client.ts';
import { createDataDir, isEmptyDir, makeDir, resolveDataDir } from '../dataDir.ts';
import { listWallets, writeWallet } from '../keystoreFolder.ts';
import { nodeFlags } from '../nodeFlags.ts';
import { createNodeKeys, writePrivate } from '../nodeKeys.ts';
import { createChain } from './init.ts';

const CHAIN_ID = 6727;
/** Known to the whole world: every wallet and tool for development has it. */
const MNEMONIC = 'test test test test test test test test test test test junk';
const FUNDED_ACCOUNTS = 10;
const BALANCE = (10n ** 6n * 10n ** 18n).toString();
/** The members' accounts come from further along the same words. */
const MEMBER_ACCOUNT_FIRST = 1_000;
const MEMBER_BALANCE = (10n ** 4n * 10n ** 18n).toString();
/** Room to bond more, and to admit others, before somebody has a third. */
const STAKE = '10';
/** What members decide takes effect within seconds. */
const GOVERNANCE = { voteSeconds: 86_400, delaySeconds: 0, unbondingSeconds: 60 };
/** The first member issues, the second brings merchants in and runs rails; they vote like others. */
const ISSUER = 'member-0';
const ROLES = [1 | 4, 1 | 8 | 16 | 32];
const CURRENCIES = [
  ['EUR', 'Euro'],
  ['USD', 'US Dollar'],
  ['CNY', 'Yuan'],
] as const;
/** In millionths: a million of each. */
const TOKENS = '1000000000000';
/** A transfer, of some 50,000 gas, costs a thousandth of a currency's unit. */
const TOKEN_PER_GAS_E18 = '20000000000000000';
/** Of the wallets, whose words are no secret. */
const WALLET_PASSWORD = 'devnet';
const readyTimeoutMs = 60_000;
const stopTimeoutMs = 5_000;
const MARK = 'devnet.json';

type Options = {
  validators: number;
  stakes?: string;
  epochBlocksMin: number;
  dir: string;
  rpcPort: number;
  p2pPort: number;
  fresh: boolean;
  json: boolean;
};

/** What the folder was made with; a later start has to agree. */
type Mark = { validators: number; p2pPort: number; stakes: string[] };

export function devnetCommand(): Command {
  return new Command('devnet')
    .description('a network on this machine: keys, genesis, and one process for each validator')
    .option('--validators <n>', 'how many', wholeNumber(1, 32), 4)
    .option('--stakes <list>', 'their weights, such as 40,30,20,10; equal if left out')
    .option(
      '--epoch-blocks-min <n>',
      'blocks before another set may decide',
      wholeNumber(1, 1_000_000),
      10,
    )
    .option('--dir <dir>', 'where it lives', 'devnet')
    .option(
      '--rpc-port <port>',
      'JSON-RPC of the first; the others follow',
      wholeNumber(1, 65_000),
      8545,
    )
    .option(
      '--p2p-port <port>',
      'network of the first; the others follow',
      wholeNumber(1, 65_000),
      30303,
    )
    .option('--fresh', 'forget the chain that is there and begin a new one', false)
    .option('--json', 'print one JSON line when it is ready', false)
    .addHelpText('after', '\nExample:\n  $ mpbp devnet --validators 4 --fresh')
    .action(devnet);
}

async function devnet(options: Options): Promise<void> {
  const dir = resolveDataDir(options.dir);
  if (options.fresh) clear(dir);
  const mark = existsSync(join(dir, MARK)) ? readMark(dir, options) : await create(dir, options);
  const dataDirs = mark.stakes.map((_, index) => nodeDir(dir, index));
  const rpc = dataDirs.map((_, index) => `http://127.0.0.1:${options.rpcPort + index}`);
  const children = dataDirs.map((dataDir, index) => startNode(dataDir, index, options));
  const network = new Children(children, dataDirs);
  network.stopOnSignals();
  try {
    await ready(rpc, network);
  } catch (error) {
    await network.stop();
    throw error;
  }
  const pids = children.map(({ pid }) => pid);
  if (options.json) {
    const line = { ready: true, chainId: CHAIN_ID, rpc, dataDirs, pids };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  } else {
    process.stdout.write(welcome(rpc, dir));
  }
  await network.ended;
}

async function create(dir: string, options: Options): Promise<Mark> {
  if (!isEmptyDir(dir)) {
    throw new UserError(
      EXIT.cannotCreate,
      `${dir} holds something else; name another folder with --dir`,
    );
  }
  const stakes = (options.stakes ?? Array(options.validators).fill(STAKE).join(',')).split(',');
  if (stakes.length !== options.validators && options.stakes !== undefined) {
    options.validators = stakes.length;
  }
  makeDir(dir);
  const keys = await Promise.all(
    stakes.map((_, index) => createNodeKeys(nodeDir(dir, index), null)),
  );
  const members = stakes.map((_, index) => ({
    ...{ id: `member-${index}`, name: `Member ${index}` },
    ...(index in ROLES ? { roles: ROLES[index] } : {}),
  }));
  const validators = keys.map((publicKeys, index) => {
    const account = formatAddress(addressOfKey(memberKey(index)));
    return {
      memberId: `member-${index}`,
      ...publicKeys,
      addresses: [`/ip4/127.0.0.1/tcp/${options.p2pPort + index}`],
      operator: account,
      stake: stakes[index]?.trim() ?? STAKE,
      feeRecipient: account,
    };
  });
  const alloc = Object.fromEntries([
    ...fundedAddresses().map((address) => [address, { balance: BALANCE }]),
    ...validators.map(({ operator }) => [operator, { balance: MEMBER_BALANCE }]),
  ]);
  const genesis = JSON.stringify(
    {
      config: {
        chainId: CHAIN_ID,
        heartbeatMs: 5_000,
        epochBlocksMin: options.epochBlocksMin,
        governance: GOVERNANCE,
      },
      timestamp: Math.floor(Date.now() / 1_000) - 1,
      members,
      validators,
      alloc,
      currencies: CURRENCIES.map(([currency, name]) => ({
        ...{ currency, name, symbol: currency, issuer: ISSUER },
        tokenPerGasE18: TOKEN_PER_GAS_E18,
        alloc: Object.fromEntries(fundedAddresses().map((address) => [address, TOKENS])),
      })),
    },
    null,
    2,
  );
  for (const index of stakes.keys()) {
    await createChain(createDataDir(nodeDir(dir, index), `${genesis}\n`));
  }
  for (const index of stakes.keys()) await makeWallet(walletDir(dir, index), memberKey(index));
  await makeWallet(join(dir, 'wallets', 'rich'), mnemonicKey(MNEMONIC, 0));
  writeFileSync(join(dir, 'genesis.json'), `${genesis}\n`);
  const mark: Mark = { validators: stakes.length, p2pPort: options.p2pPort, stakes };
  writeFileSync(join(dir, MARK), `${JSON.stringify(mark)}\n`);
  return mark;
}

/** Opens without a question: the password stands beside it. */
async function makeWallet(keystore: string, secret: Uint8Array): Promise<void> {
  makeDir(keystore);
  if (listWallets(keystore).length > 0) return;
  const text = await sealKey('payment', secret, WALLET_PASSWORD, generatedPasswordCost);
  writeWallet(keystore, addressOfKey(secret), text);
  writePrivate(join(keystore, 'password'), `${WALLET_PASSWORD}\n`);
}

function readMark(dir: string, options: Options): Mark {
  const mark = JSON.parse(readFileSync(join(dir, MARK), 'utf8')) as Mark;
  if (mark.p2pPort !== options.p2pPort || mark.validators !== options.validators) {
    throw new UserError(
      EXIT.usage,
      `${dir} was made with --validators ${mark.validators} --p2p-port ${mark.p2pPort}: ` +
        'start it with the same, or begin anew with --fresh',
    );
  }
  return mark;
}

/** Only what a devnet made: never somebody else's folder. */
function clear(dir: string): void {
  if (isEmptyDir(dir)) return;
  if (!existsSync(join(dir, MARK))) {
    throw new UserError(EXIT.cannotCreate, `--fresh: ${dir} is not a devnet; nothing was deleted`);
  }
  rmSync(dir, { recursive: true, force: true });
}

function startNode(dataDir: string, index: number, options: Options): ChildProcess {
  const log = openSync(join(dataDir, 'node.log'), 'a', 0o600);
  const program = join(import.meta.dirname, '..', 'mpbp.ts');
  const args = [...nodeFlags, program, 'start', '--data-dir', dataDir];
  args.push('--rpc.port', `${options.rpcPort + index}`);
  args.push('--p2p.listen', `/ip4/127.0.0.1/tcp/${options.p2pPort + index}`);
  // Of this machine alone, for developers, who want to see what their contracts call.
  args.push('--rpc.debug', 'true');
  // Each would count all cores as its own.
  if (options.validators >= availableParallelism()) args.push('--crypto.recoveryThreads', '0');
  return spawn(process.execPath, args, {
    stdio: ['pipe', log, log],
    env: { ...process.env, MPBP_STOP_WITH_PARENT: '1' },
  });
}

/** The processes of the network, and the end of all of them. */
class Children {
  readonly ended: Promise<void>;
  readonly #children: readonly ChildProcess[];
  #running: number;
  #stopping = false;

  constructor(children: readonly ChildProcess[], dataDirs: readonly string[]) {
    this.#children = children;
    this.#running = children.length;
    this.ended = new Promise((resolve) => {
      for (const [index, child] of children.entries()) {
        child.once('exit', (code, signal) => {
          this.#running--;
          if (!this.#stopping) complain(index, dataDirs[index] ?? '', code, signal);
          if (this.#running === 0) resolve();
        });
      }
    });
  }

  get running(): number {
    return this.#running;
  }

  stopOnSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => void this.stop());
    }
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const child of this.#children) child.kill('SIGTERM');
    const late = setTimeout(() => {
      for (const child of this.#children) child.kill('SIGKILL');
    }, stopTimeoutMs - 500);
    await this.ended;
    clearTimeout(late);
  }
}

function complain(
  index: number,
  dataDir: string,
  code: number | null,
  signal: string | null,
): void {
  process.stderr.write(
    `validator ${index} ended (${signal ?? `exit code ${code}`}); its log: ${dataDir}/node.log\n`,
  );
}

/** Every node answers, knows a quorum, and the network has made its first block. */
async function ready(rpc: readonly string[], network: Children): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs;
  for (const url of rpc) {
    for (;;) {
      if (await isReady(url)) break;
      if (network.running < rpc.length) {
        throw new UserError(EXIT.unavailable, 'a validator did not start; its log says why');
      }
      if (performance.now() > deadline) {
        throw new UserError(EXIT.unavailable, `${url} is not ready after a minute`);
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const height = BigInt(await new Client(url).call<string>('eth_blockNumber'));
    return height >= 1n && (await fetch(`${url}/readyz`)).ok;
  } catch {
    return false;
  }
}

function welcome(rpc: readonly string[], dir: string): string {
  const accounts = fundedAddresses().map((address, index) => `  ${index}  ${address}`);
  const tokens = CURRENCIES.map(
    ([currency]) => `  ${currency}  ${formatAddress(genesisTokenAddress(currency, ISSUER))}`,
  );
  return `
The network is ready: ${rpc.length} validators, chain id ${CHAIN_ID}.

JSON-RPC   ${rpc.join('\n           ')}
Data       ${dir}

Accounts with 1,000,000 MPB, EUR, USD and CNY each:
${accounts.join('\n')}
Currencies (ERC-20, six decimals; member-0 issues, member-1 brings merchants in):
${tokens.join('\n')}
The members' wallets, with 10,000 MPB each:
  ${dir}/wallets/member-0 …
  (${dir}/wallets/rich is account 0)
All keys come from the words "${MNEMONIC}".
WARNING: everybody knows these words. Never send anything of value to these accounts.

Try, in another terminal:
  npx mpbp status
  npx mpbp validator list
  npx mpbp token balance ${fundedAddresses()[0]}
  npx mpbp history ${fundedAddresses()[0]}
How a fifth validator joins: docs/membership.md
Stop with Ctrl-C; the same command goes on with the same chain.
`;
}

function fundedAddresses(): string[] {
  return Array.from({ length: FUNDED_ACCOUNTS }, (_, index) =>
    formatAddress(addressOfKey(mnemonicKey(MNEMONIC, index))),
  );
}

function memberKey(index: number): Uint8Array {
  return mnemonicKey(MNEMONIC, MEMBER_ACCOUNT_FIRST + index);
}

function walletDir(dir: string, index: number): string {
  return join(dir, 'wallets', `member-${index}`);
}

function nodeDir(dir: string, index: number): string {
  return join(dir, `node${index}`);
}
