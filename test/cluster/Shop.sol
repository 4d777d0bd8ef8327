// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

interface IERC20 {
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    function balanceOf(address account) external view returns (uint256);
}

interface IPermit {
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
}

interface IAuthorization {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}

/// A shop as anybody would write it for an ERC-20 of any chain: it takes payment and passes it on.
contract Shop {
    address public immutable owner = msg.sender;
    mapping(bytes32 => address) public paidBy;

    event Sold(bytes32 indexed item, address indexed customer, uint256 price);

    /// One signature, one transaction: allowance and payment.
    function buy(IERC20 token, bytes32 item, uint256 price, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external {
        IPermit(address(token)).permit(msg.sender, address(this), price, deadline, v, r, s);
        require(token.transferFrom(msg.sender, owner, price), "not paid");
        sold(item, msg.sender, price);
    }

    /// The customer signs in a browser; whoever submits it pays for the gas. The nonce is the item.
    function buyFor(IERC20 token, address customer, bytes32 item, uint256 price, uint256 validBefore, bytes calldata signature)
        external
    {
        uint256 before = token.balanceOf(address(this));
        IAuthorization(address(token)).receiveWithAuthorization(
            customer, address(this), price, 0, validBefore, item, signature
        );
        require(token.balanceOf(address(this)) == before + price, "not paid");
        require(token.transfer(owner, price), "not passed on");
        sold(item, customer, price);
    }

    function sold(bytes32 item, address customer, uint256 price) private {
        require(paidBy[item] == address(0), "sold already");
        paidBy[item] = customer;
        emit Sold(item, customer, price);
    }
}
