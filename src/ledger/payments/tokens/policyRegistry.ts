/**
 * PolicyRegistry, 0x4d5042…0011 (payments.md 2.3; TIP-403, TIP-1015, TIP-1028): lists of accounts
 * that tokens and receivers refer to by number, limits of what may move in a period, and what both
 * ends of a large payment attest. A list has an admin, who alone changes it.
 */
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { POLICY_REGISTRY } from '../addresses.ts';
import { type Call, defineContract, type View } from '../contract.ts';
import { attest, isAttested, policyDomain, setThreshold, thresholdOf } from './attestations.ts';
import { limitOf, setLimit } from './limitOfficers.ts';
import { fail, log, policyAbi } from './policyAbi.ts';
import {
  ALLOW_ALL,
  isAllowed,
  nextPolicyId,
  POLICY,
  policies,
  policyExists,
  REFUSE_ALL,
} from './policyStore.ts';

export const policyRegistry = defineContract({
  name: 'PolicyRegistry',
  address: POLICY_REGISTRY,
  abi: policyAbi,
  functions: {
    createPolicy: { gas: 10_000n, run: (call, admin, type) => create(call, admin, type) },
    createPolicyWithAccounts: {
      gas: 10_000n,
      run: (call, admin, type, accounts) => {
        const id = create(call, admin, type);
        for (const account of accounts) list(call, id, type, account, true);
        return id;
      },
    },
    createCompoundPolicy: {
      gas: 10_000n,
      run: (call, sender, recipient, mintRecipient) => {
        const { state } = call;
        for (const part of [sender, recipient, mintRecipient]) {
          needPolicy(call, part);
          const { type } = policies.policies(part).head.get(state);
          if (type === POLICY.compound) throw fail('IncompatiblePolicyType', part, type);
        }
        // It has nothing that an admin could change.
        const id = add(call, POLICY.compound, ZERO_ADDRESS);
        policies.policies(id).parts.set(state, { sender, recipient, mintRecipient });
        return id;
      },
    },
    modifyPolicyWhitelist: {
      gas: 8_000n,
      run: (call, id, account, allowed) => {
        needAdminOf(call, id, POLICY.whitelist);
        list(call, id, POLICY.whitelist, account, allowed);
      },
    },
    modifyPolicyBlacklist: {
      gas: 8_000n,
      run: (call, id, account, restricted) => {
        needAdminOf(call, id, POLICY.blacklist);
        list(call, id, POLICY.blacklist, account, restricted);
      },
    },
    setPolicyAdmin: {
      gas: 8_000n,
      run: (call, id, admin) => {
        const { type } = needAdminOf(call, id);
        if (admin === ZERO_ADDRESS) throw fail('InvalidAccount', admin);
        policies.policies(id).head.set(call.state, { type, admin });
        call.emit(log('PolicyAdminUpdated', id, call.sender, admin));
      },
    },
    isAuthorized: {
      gas: 5_000n,
      run: ({ state }, id, user) =>
        isAllowed(state, id, user, 'sender') && isAllowed(state, id, user, 'recipient'),
    },
    isAuthorizedSender: {
      gas: 5_000n,
      run: ({ state }, id, user) => isAllowed(state, id, user, 'sender'),
    },
    isAuthorizedRecipient: {
      gas: 5_000n,
      run: ({ state }, id, user) => isAllowed(state, id, user, 'recipient'),
    },
    setReceivePolicy: {
      gas: 10_000n,
      run: (call, senders, tokens, recoveryAuthority, requireMemo) => {
        const { state, sender } = call;
        needPolicy(call, senders);
        needPolicy(call, tokens);
        const own = policies.receivers(sender);
        own.rule.set(state, { isSet: true, requireMemo, senders, tokens });
        own.recoveryAuthority.set(state, recoveryAuthority);
        const rule = [senders, tokens, recoveryAuthority, requireMemo] as const;
        call.emit(log('ReceivePolicyUpdated', sender, ...rule));
      },
    },
    receivePolicy: {
      gas: 5_000n,
      run: ({ state }, account) => {
        const own = policies.receivers(account);
        const { isSet, senders, tokens, requireMemo } = own.rule.get(state);
        return [isSet, senders, tokens, own.recoveryAuthority.get(state), requireMemo] as const;
      },
    },
    policyData: {
      gas: 5_000n,
      run: (view, id) => {
        needPolicy(view, id);
        if (id === REFUSE_ALL) return [POLICY.whitelist, ZERO_ADDRESS] as const;
        if (id === ALLOW_ALL) return [POLICY.blacklist, ZERO_ADDRESS] as const;
        const { type, admin } = policies.policies(id).head.get(view.state);
        return [type, admin] as const;
      },
    },
    setLimit: {
      gas: 10_000n,
      isGoverned: true,
      run: (call, subject, token, direction, unit, maxAmount, maxCount) =>
        setLimit(call, { subject, token, direction, unit, maxAmount, maxCount }),
    },
    limitOf: { gas: 5_000n, run: limitOf },
    setDualAttestationThreshold: { gas: 8_000n, run: setThreshold },
    dualAttestationThreshold: { gas: 5_000n, run: thresholdOf },
    attest: {
      gas: 10_000n,
      run: (call, referenceId, token, amount, sender, receiver, signature) =>
        attest(call, { referenceId, token, amount, sender, receiver }, signature),
    },
    isAttested: {
      gas: 5_000n,
      run: ({ state }, referenceId, token, amount, sender, receiver, receiverMemberId) =>
        isAttested(state, { referenceId, token, amount, sender, receiver }, receiverMemberId),
    },
    DOMAIN_SEPARATOR: { gas: 5_000n, run: ({ state }) => policyDomain(state) },
  },
});

function create(call: Call, admin: Address, type: bigint): bigint {
  if (type !== POLICY.whitelist && type !== POLICY.blacklist) {
    throw fail('InvalidPolicyType', type);
  }
  if (admin === ZERO_ADDRESS) throw fail('InvalidAccount', admin);
  return add(call, type, admin);
}

function add(call: Call, type: bigint, admin: Address): bigint {
  const { state, sender } = call;
  const id = nextPolicyId(state);
  policies.count.set(state, policies.count.get(state) + 1n);
  policies.policies(id).head.set(state, { type, admin });
  call.emit(log('PolicyCreated', id, sender, type));
  return id;
}

function list(call: Call, id: bigint, type: bigint, account: Address, isListed: boolean): void {
  policies.listed(id)(account).set(call.state, isListed);
  const name = type === POLICY.whitelist ? 'WhitelistUpdated' : 'BlacklistUpdated';
  call.emit(log(name, id, call.sender, account, isListed));
}

function needPolicy({ state }: View, id: bigint): void {
  if (!policyExists(state, id)) throw fail('UnknownPolicy', id);
}

/** The caller is the admin of this policy, which is of this type where one is named. */
function needAdminOf({ state, sender }: Call, id: bigint, wanted?: bigint) {
  const { type, admin } = policies.policies(id).head.get(state);
  if (admin === ZERO_ADDRESS) throw fail('UnknownPolicy', id);
  if (wanted !== undefined && type !== wanted) throw fail('IncompatiblePolicyType', id, type);
  if (admin !== sender) throw fail('NotAuthorized', sender);
  return { type, admin };
}
