"""Every route of the article's gateway, declared in its form, in words of our own."""

# pyright: reportUnusedFunction=false
# The decorators register the handlers; nobody calls them by name.

from typing import Any

from datastructures.orders import OrderForm
from datastructures.suppliers import SupplierForm
from datastructures.users import UserForm, UsernamePasswordForm, UserUpdateForm
from fastapi import Request, Response

from limen import Gateway
from limen.compat import route

OWN = {
    "authentication_token_decoder": "auth.decode_access_token",
    "service_header_generator": "auth.generate_request_header",
}
"""The functions of the project; without these, what the gateway has."""


def declare(app: Gateway, settings: Any, functions: dict[str, Any]) -> None:
    """Declare them; ``functions`` are given to each route that needs a caller."""
    users, orders, suppliers = (
        settings.USERS_SERVICE_URL,
        settings.ORDERS_SERVICE_URL,
        settings.SUPPLIERS_SERVICE_URL,
    )
    for_admins: dict[str, Any] = {
        "authentication_required": True,
        "service_authorization_checker": "auth.is_admin_user",
        **functions,
    }
    for_users: dict[str, Any] = {**for_admins, "service_authorization_checker": "auth.is_default_user"}

    @route(
        request_method=app.post,
        path="/api/login",
        status_code=201,
        payload_key="username_password",
        service_url=users,
        authentication_required=False,
        post_processing_func="post_processing.access_token_generate_handler",
        response_model="datastructures.users.LoginResponse",
    )
    async def login(username_password: UsernamePasswordForm, request: Request, response: Response):
        pass

    @route(
        request_method=app.post,
        path="/api/users",
        status_code=201,
        payload_key="user",
        service_url=users,
        response_model="datastructures.users.UserResponse",
        **for_admins,
    )
    async def create_user(user: UserForm, request: Request, response: Response):
        pass

    @route(
        request_method=app.get,
        path="/api/users",
        status_code=200,
        payload_key=None,
        service_url=users,
        response_model="datastructures.users.UserResponse",
        response_list=True,
        **for_admins,
    )
    async def get_users(request: Request, response: Response):
        pass

    @route(
        request_method=app.get,
        path="/api/users/{user_id}",
        status_code=200,
        payload_key=None,
        service_url=users,
        authentication_required=True,
        post_processing_func=None,
        authentication_token_decoder=for_admins.get("authentication_token_decoder", "auth.decode_access_token"),
        service_authorization_checker="auth.is_admin_user",
        service_header_generator="auth.generate_request_header",
        response_model="datastructures.users.UserResponse",
        response_list=False,
    )
    async def get_user(user_id: int, request: Request, response: Response):
        """Get one user."""

    @route(
        request_method=app.delete,
        path="/api/users/{user_id}",
        status_code=204,
        payload_key=None,
        service_url=users,
        **for_admins,
    )
    async def delete_user(user_id: int, request: Request, response: Response):
        pass

    @route(
        request_method=app.put,
        path="/api/users/{user_id}",
        status_code=200,
        payload_key="user",
        service_url=users,
        response_model="datastructures.users.UserResponse",
        **for_admins,
    )
    async def update_user(user_id: int, user: UserUpdateForm, request: Request, response: Response):
        pass

    @route(
        request_method=app.get,
        path="/api/orders",
        status_code=200,
        payload_key=None,
        service_url=orders,
        response_model="datastructures.orders.OrderResponse",
        response_list=True,
        **for_users,
    )
    async def get_orders(request: Request, response: Response):
        pass

    @route(
        request_method=app.post,
        path="/api/orders",
        status_code=200,
        payload_key="order",
        service_url=orders,
        response_model="datastructures.orders.OrderResponse",
        **for_users,
    )
    async def create_order(order: OrderForm, request: Request, response: Response):
        pass

    @route(
        request_method=app.get,
        path="/api/suppliers",
        status_code=200,
        payload_key=None,
        service_url=suppliers,
        authentication_required=False,
        response_model="datastructures.suppliers.SupplierResponse",
        response_list=True,
    )
    async def get_suppliers(request: Request, response: Response):
        pass

    @route(
        request_method=app.post,
        path="/api/suppliers",
        status_code=200,
        payload_key="supplier",
        service_url=suppliers,
        response_model="datastructures.suppliers.SupplierResponse",
        **for_users,
    )
    async def create_supplier(supplier: SupplierForm, request: Request, response: Response):
        pass
