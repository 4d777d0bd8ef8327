import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { keccak256 } from '#src/crypto/keccak.ts';
import { MERCHANT_REGISTRY } from '#src/ledger/payments/addresses.ts';
import { merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { RIGHT, RIGHTS_ALL } from '#src/ledger/payments/orders/merchantStore.ts';
import { ALLOW_ALL } from '#src/ledger/payments/tokens/policyStore.ts';
import { toHex, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress, parseAddress } from '#src/types/address.ts';
import { keccakHash, parseHash } from '#src/types/hash.ts';
import { memberIdOf, memberText } from '#src/types/memberId.ts';
import { addressArgument, wholeNumber } from '../../arguments.ts';
import { Client, defaultRpc } from '../../client.ts';
import { chooseWallet } from '../../keystoreFolder.ts';
import { makeOutput, printable, table } from '../../output.ts';
import { view } from '../membership/contract.ts';
import { type SessionOptions, signing } from '../membership/session.ts';
import { type Field, signDocument } from './signing.ts';
import { idOf, openSales, textOf, wordOf } from './words.ts';

const REGISTRATION: readonly Field[] = [
  ['bytes32', 'merchantId'],
  ['bytes32', 'legalEntityHash'],
  ['string', 'displayName'],
  ['bytes2', 'country'],
  ['uint16', 'mcc'],
  ['bytes32', 'acquirerId'],
  ['address', 'settlementAccount'],
  ['uint64', 'payerPolicyId'],
  ['bool', 'autoRoute'],
];

type SignUpOptions = SessionOptions & {
  id: string;
  name: string;
  legalEntity: string;
  country: string;
  mcc: number;
  acquirer: string;
};

export function signUpCommand(): Command {
  return signing(new Command('sign-up'))
    .description('sign what an acquirer needs to register you; its wallet gets your money')
    .requiredOption('--id <text>', 'what you are called on the chain, up to 32 bytes')
    .requiredOption('--name <text>', 'what customers see')
    .requiredOption('--legal-entity <text>', 'who you are by law; only its hash is told')
    .option('--country <code>', 'two letters (ISO 3166)', 'DE')
    .option('--mcc <n>', 'merchant category code', wholeNumber(0, 9_999), 5_999)
    .requiredOption('--acquirer <member>', 'the member that brings you in')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp merchant sign-up --id shop --name "The Shop" \\\n' +
        '      --legal-entity "Shop Ltd, HRB 1234" --acquirer member-1 > shop.json\n\n' +
        'Give the file to the acquirer: mpbp merchant register shop.json',
    )
    .action(signUp);
}

async function signUp(options: SignUpOptions): Promise<void> {
  const { id, name, legalEntity, country, mcc, acquirer } = options;
  if (!/^[A-Z]{2}$/.test(country)) throw new UserError(EXIT.usage, '--country: two letters, DE');
  const client = new Client(options.rpc);
  const chainId = Number(BigInt(await client.call<string>('eth_chainId')));
  const { address } = chooseWallet(options.keystore, addressOrNull(options.from));
  const merchant = {
    merchantId: idOf(id, '--id'),
    legalEntityHash: toHex(keccak256(utf8(legalEntity))),
    displayName: name,
    country: toHex(utf8(country)),
    mcc,
    acquirerId: memberIdOf(acquirer),
    settlementAccount: formatAddress(address),
    payerPolicyId: ALLOW_ALL.toString(),
    autoRoute: true,
  };
  const domain = { name: 'MPBP MerchantRegistry', chainId, verifyingContract: MERCHANT_REGISTRY };
  const document = { domain, primaryType: 'MerchantRegistration', fields: REGISTRATION };
  const { signature } = await signDocument({ ...document, message: merchant }, options);
  process.stdout.write(`${JSON.stringify({ merchant, signature }, null, 2)}\n`);
}

function addressOrNull(text: string | undefined): Address | null {
  return text === undefined ? null : addressArgument(text, '--from');
}

export function registerCommand(): Command {
  return signing(new Command('register'))
    .description('register a merchant that signed up; for accounts of members with role access')
    .argument('<file>', 'what `mpbp merchant sign-up` printed')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp merchant register shop.json --keystore devnet/wallets/member-1',
    )
    .action(async (file: string, options: SessionOptions) => {
      const { merchant, signature } = readSignUp(file);
      const session = await openSales(options);
      const member = session.needMember();
      await session.send(merchantRegistry, 'registerMerchant', [merchant, signature]);
      const { merchantId, displayName, settlementAccount } = merchant;
      const whom = `${printable(displayName)} (${textOf(merchantId)})`;
      session.report.say(`${whom} is registered by ${member}`, { merchantId, displayName });
      session.report.say(`its money goes to ${formatAddress(settlementAccount)}`);
      const next = `mpbp order create --merchant ${wordOf(merchantId)}`;
      session.report.say(`it takes orders now: ${next} --amount 12.50 --token EUR`);
      session.report.end();
    });
}

/** From somebody else: every field is looked at before the acquirer signs anything. */
function readSignUp(file: string) {
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError(EXIT.badData, `${file}: ${(error as Error).message}`);
  }
  const { merchant, signature } = (given ?? {}) as {
    merchant?: Record<string, unknown>;
    signature?: unknown;
  };
  if (typeof merchant !== 'object' || merchant === null) {
    throw new UserError(EXIT.badData, `${file} has no merchant`);
  }
  const bad = (key: string) => new UserError(EXIT.badData, `${file}: merchant.${key} is not sound`);
  const hash = (key: string) => {
    const value = merchant[key];
    const found = typeof value === 'string' ? parseHash(value) : null;
    if (found === null) throw bad(key);
    return found;
  };
  const whole = (key: string, max: number) => {
    const value = Number(merchant[key]);
    if (!Number.isInteger(value) || value < 0 || value > max) throw bad(key);
    return BigInt(value);
  };
  const account = parseAddress(String(merchant.settlementAccount));
  if (!account.ok) throw bad('settlementAccount');
  const { displayName, country, autoRoute } = merchant;
  if (typeof displayName !== 'string') throw bad('displayName');
  if (typeof country !== 'string' || !/^0x[0-9a-f]{4}$/.test(country)) throw bad('country');
  if (typeof signature !== 'string' || !/^0x[0-9a-f]{130}$/.test(signature)) {
    throw new UserError(EXIT.badData, `${file} has no signature of 65 bytes`);
  }
  return {
    merchant: {
      merchantId: hash('merchantId'),
      legalEntityHash: hash('legalEntityHash'),
      ...{ displayName, country, mcc: whole('mcc', 65_535) },
      acquirerId: hash('acquirerId'),
      settlementAccount: account.value,
      payerPolicyId: whole('payerPolicyId', Number.MAX_SAFE_INTEGER),
      status: 0n,
      autoRoute: autoRoute === true,
    },
    signature: new Uint8Array(Buffer.from(signature.slice(2), 'hex')),
  };
}

const RIGHT_NAMES = Object.keys(RIGHT) as (keyof typeof RIGHT)[];

export function keyCommand(): Command {
  return signing(new Command('key'))
    .description('let a key take orders, capture, refund or administer, or no longer')
    .argument('<address>', 'of the key')
    .requiredOption('--id <merchant>', 'which merchant')
    .requiredOption('--rights <list>', `of ${RIGHT_NAMES.join(', ')}; or all`)
    .option('--remove', 'take these rights away', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp merchant key 0x90F79bf6EB2c4f870365E785982E1f101E93b906 \\\n' +
        '      --id shop --rights order,capture',
    )
    .action(async (text: string, options: KeyOptions) => {
      const key = addressArgument(text, 'address');
      const rights = rightsOf(options.rights);
      const session = await openSales(options);
      const id = idOf(options.id, '--id');
      await session.send(merchantRegistry, 'setOrderKey', [id, key, rights, !options.remove]);
      const does = options.remove ? 'has no longer' : 'has';
      session.report.say(`${formatAddress(key)} ${does} the rights ${options.rights}`, { key });
      session.report.end();
    });
}

type KeyOptions = SessionOptions & { id: string; rights: string; remove: boolean };

function rightsOf(text: string): bigint {
  if (text === 'all') return RIGHTS_ALL;
  let rights = 0n;
  for (const name of text.split(',')) {
    const right = RIGHT[name.trim() as keyof typeof RIGHT] as bigint | undefined;
    if (right === undefined) {
      throw new UserError(EXIT.usage, `--rights: "${name}" is none of ${RIGHT_NAMES.join(', ')}`);
    }
    rights |= right;
  }
  return rights;
}

type BindOptions = SessionOptions & { id: string; code: string; account: string };

export function bindChannelCommand(): Command {
  return signing(new Command('bind-channel'))
    .description('say what a rail calls a merchant, and which account there it credits')
    .argument('<channel>', 'what the rail is called on the chain')
    .requiredOption('--id <merchant>', 'which merchant')
    .requiredOption('--code <text>', 'the merchant’s number at the rail, up to 32 bytes')
    .requiredOption('--account <text>', 'the account that is credited; only its hash is told')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp merchant bind-channel CARD --id shop --code 4711 \\\n' +
        '      --account DE89370400440532013000 --keystore devnet/wallets/member-1\n\n' +
        'The results of the rail name the account by the same hash: keccak-256 of its text, or\n' +
        '0x and 64 digits where you two have agreed on a hash of your own.',
    )
    .action(async (text: string, options: BindOptions) => {
      const { account } = options;
      const channelId = idOf(text, 'channel');
      const wanted = [idOf(options.id, '--id'), channelId, idOf(options.code, '--code')];
      const credited = parseHash(account) ?? keccakHash(utf8(account));
      const session = await openSales(options);
      await session.send(merchantRegistry, 'bindChannel', [...wanted, credited]);
      const [shop, rail] = [options.id, text].map((name) => printable(name));
      session.report.say(`${shop} takes payments over ${rail}`, { channelId });
      session.report.end();
    });
}

const STATUSES = ['unknown', 'active', 'suspended', 'closed'];

export function showCommand(): Command {
  return new Command('show')
    .description('a merchant as everybody sees it')
    .argument('<id>', 'what it is called on the chain')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp merchant show shop')
    .action(async (text: string, options: { rpc: string; json: boolean }) => {
      const client = new Client(options.rpc);
      const [found] = await view(client, merchantRegistry, 'getMerchant', idOf(text, 'id'));
      const merchant = found as Record<string, unknown> & { country: string; status: bigint };
      const country = Buffer.from(merchant.country.slice(2), 'hex').toString('latin1');
      const rows = [
        ['name', printable(String(merchant.displayName))],
        ['status', STATUSES[Number(merchant.status)] ?? `${merchant.status}`],
        ['country', printable(country)],
        ['category', `${merchant.mcc}`],
        ['acquirer', memberText(merchant.acquirerId as never)],
        ['money goes to', formatAddress(merchant.settlementAccount as Address)],
      ];
      const data = Object.fromEntries(
        Object.entries(merchant).map(([key, value]) => [
          key,
          typeof value === 'bigint' ? `0x${value.toString(16)}` : value,
        ]),
      );
      makeOutput(options.json).result(data, table(rows));
    });
}
