/** Orders from a threshold on are attested by the members of payer and merchant (travel rule). */
import { Command } from 'commander';
import { POLICY_REGISTRY } from '#src/ledger/payments/addresses.ts';
import type { OrderTerms } from '#src/ledger/payments/orders/orderStore.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { fromHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { addressArgument } from '../../arguments.ts';
import { Client } from '../../client.ts';
import { makeOutput } from '../../output.ts';
import { view } from '../membership/contract.ts';
import { refusedInWords, type SessionOptions, signing } from '../membership/session.ts';
import { orderArgument } from '../sales/orderFacts.ts';
import { type Field, signDocument } from '../sales/signing.ts';
import { money, openSales, sentences } from '../sales/words.ts';
import { openPolicies, policies } from './policies.ts';
import { type AmountOptions, amountOf, amounts, findCurrency, shownAmount } from './tokens.ts';

type ThresholdOptions = SessionOptions & AmountOptions & { token: string };

export function thresholdCommand(): Command {
  return amounts(signing(new Command('threshold')))
    .description('from what amount on orders have to be attested; without one, what it is')
    .argument('[amount]', 'such as 1000; 0: none has to')
    .requiredOption('--token <currency>', 'such as EUR, or the address of a token')
    .addHelpText('after', '\nExample:\n  $ mpbp policy threshold 1000 --token EUR')
    .action(threshold);
}

async function threshold(text: string | undefined, options: ThresholdOptions): Promise<void> {
  if (text === undefined) {
    const client = new Client(options.rpc);
    const currency = await findCurrency(client, options.token);
    const [found] = await view(client, policies, 'dualAttestationThreshold', currency.address);
    const amount = found as bigint;
    const none = 'no order has to be attested';
    const says = amount === 0n ? none : `from ${shownAmount(amount, currency)} on`;
    return makeOutput(options.json).result({ amount }, says);
  }
  const amount = amountOf(text, 'amount', options);
  const session = await openPolicies(options);
  const currency = await findCurrency(session.client, options.token);
  await session.send(policies, 'setDualAttestationThreshold', [currency.address, amount]);
  const from = `orders of ${shownAmount(amount, currency)} or more have to be attested`;
  session.report.say(amount === 0n ? 'no order has to be attested' : from, { amount });
  session.report.end();
}

const ATTESTATION: readonly Field[] = [
  ['bytes32', 'referenceId'],
  ['address', 'token'],
  ['uint256', 'amount'],
  ['address', 'sender'],
  ['address', 'receiver'],
  ['bytes32', 'senderMemberId'],
];

type AttestOptions = SessionOptions & {
  payer: string;
  signature?: string;
  signFor?: string;
};

export function attestCommand(): Command {
  return signing(new Command('attest'))
    .description('attest a large order, by operators with role access of both ends')
    .argument('<order>', 'its id or its link')
    .requiredOption('--payer <address>', 'who will pay it')
    .option('--sign-for <member>', "first, the merchant's: sign for the payer's member")
    .option('--signature <hex>', "then, the payer's: submit what the other has signed")
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp policy attest LINK --payer 0x7099…79C8 --sign-for member-2 \\\n' +
        '      --keystore devnet/wallets/member-1\n' +
        '  $ mpbp policy attest LINK --payer 0x7099…79C8 --signature 0x… \\\n' +
        '      --keystore devnet/wallets/member-2',
    )
    .action(attest);
}

async function attest(text: string, options: AttestOptions): Promise<void> {
  const { signature, signFor } = options;
  if ((signature === undefined) === (signFor === undefined)) {
    throw new UserError(EXIT.usage, 'one of --sign-for and --signature');
  }
  const sender = addressArgument(options.payer, '--payer');
  const client = new Client(options.rpc);
  const attested = await readOrder(client, orderArgument(text), sender);
  if (signature === undefined) return sign(client, attested, signFor ?? '', options);
  const bytes = fromHex(signature);
  if (bytes?.length !== 65) throw new UserError(EXIT.usage, '--signature: 0x and 130 digits');
  const session = await openSales(options);
  session.needMember();
  await session.send(policies, 'attest', [...Object.values(attested), bytes]);
  const { referenceId, token, amount } = attested;
  const what = `order ${referenceId} of ${money(amount, token)}`;
  session.report.say(`attested ${what}, paid by ${formatAddress(sender)}`, { referenceId });
  session.report.end();
}

type Attested = {
  readonly referenceId: Hash;
  readonly token: Address;
  readonly amount: bigint;
  readonly sender: Address;
  readonly receiver: Address;
};

async function readOrder(client: Client, id: Hash, sender: Address): Promise<Attested> {
  const asked = () => view(client, paymentOrders, 'getOrder', id);
  const [order] = await refusedInWords(asked, sentences);
  const { terms, settlementAccount: receiver } = order as {
    terms: OrderTerms;
    settlementAccount: Address;
  };
  const { token, amount } = terms;
  return { referenceId: id, token, amount, sender, receiver };
}

async function sign(
  client: Client,
  attested: Attested,
  member: string,
  options: AttestOptions,
): Promise<void> {
  const chainId = Number(BigInt(await client.call<string>('eth_chainId')));
  const domain = { name: 'MPBP PolicyRegistry', chainId, verifyingContract: POLICY_REGISTRY };
  const message = {
    ...attested,
    ...{ token: formatAddress(attested.token), amount: attested.amount.toString() },
    ...{ sender: formatAddress(attested.sender), receiver: formatAddress(attested.receiver) },
    senderMemberId: memberIdOf(member),
  };
  const document = { domain, primaryType: 'DualAttestation', fields: ATTESTATION, message };
  const { signature } = await signDocument(document, options);
  makeOutput(options.json).result({ signature }, signature);
}
