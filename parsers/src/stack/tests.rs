use proptest::prelude::*;

use super::*;

const JAVA: &str = "2026-01-01 ERROR [http-1] c.s.Cart - checkout failed
java.lang.IllegalStateException: cart 17 is empty
\tat com.shop.Cart.lambda$total$3(Cart.java:42)
\tat java.base/java.util.ArrayList.forEach(ArrayList.java:1511)
\tat com.shop.Cart$$Lambda$14/0x0000000800c03000.run(Unknown Source)
\tat com.shop.Cart$$EnhancerBySpringCGLIB$$1f2e3d4c.total(<generated>)
\tat jdk.proxy2/jdk.proxy2.$Proxy98.total(Unknown Source)
\tat com.shop.Api$1.handle(Api.java:7)
Caused by: com.shop.db.PoolExhaustedException: none left
\tat com.shop.db.Pool.take(Pool.java:9)
\t... 6 more";

const PYTHON: &str = "Traceback (most recent call last):
  File \"/usr/lib/python3.12/socket.py\", line 720, in readinto
    return self._sock.recv_into(b)
           ^^^^^^^^^^^^^^^^^^^^^^^
TimeoutError: timed out

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"/app/.venv/lib/python3.12/site-packages/django/core/handlers/base.py\", line 197, in _get_response
    response = wrapped_callback(request)
  File \"/app/shop/views.py\", line 12, in checkout
    pay(order)
shop.errors.PaymentFailed: card 4711 was declined";

const GO: &str = "panic: runtime error: index out of range [5] with length 3

goroutine 34 [running]:
main.(*Cart).Total(0xc000012345, {0x0, 0x0})
\t/app/cart.go:12 +0x1d
main.main.func1.2()
\t/app/main.go:40 +0x88
net/http.HandlerFunc.ServeHTTP(...)
\t/usr/local/go/src/net/http/server.go:2220
created by net/http.(*Server).Serve in goroutine 1
\t/usr/local/go/src/net/http/server.go:3360 +0x485
";

const NODE: &str = "TypeError: Cannot read properties of undefined (reading 'id')
    at Cart.total (file:///app/src/cart.js:10:5)
    at async /app/src/api.js:33:12
    at Layer.handle (/app/node_modules/express/lib/router/layer.js:95:5)
    at new Promise (<anonymous>)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)";

const DOTNET: &str = "Unhandled exception. System.InvalidOperationException: order 9 is closed
 ---> System.TimeoutException: no answer
   at Shop.Orders.Handler.<Place>d__5.MoveNext() in /src/Handler.cs:line 42
--- End of stack trace from previous location ---
   at Shop.Orders.Api.<>c__DisplayClass3_0.<Map>b__1(HttpContext context)
   at Shop.List`1.Take[T](Int32 count)";

fn of(text: &str) -> Stack {
    find(text.as_bytes()).unwrap()
}

#[test]
fn each_languages_exception_and_functions_are_read_without_what_changes() {
    let java = of(JAVA);
    assert_eq!(java.language, Language::Java);
    assert_eq!(
        (java.kind.as_str(), java.message.as_str()),
        ("java.lang.IllegalStateException", "cart 17 is empty")
    );
    assert_eq!(java.cause.as_deref(), Some("com.shop.db.PoolExhaustedException"));
    assert_eq!(
        java.frames,
        [
            "com.shop.Cart.lambda$total",
            "java.util.ArrayList.forEach",
            "com.shop.Cart$$Lambda.run",
            "com.shop.Cart$$EnhancerBySpringCGLIB.total",
            "jdk.proxy2.$Proxy.total",
            "com.shop.Api.handle"
        ]
    );
    let python = of(PYTHON);
    assert_eq!((python.language, python.kind.as_str()), (Language::Python, "shop.errors.PaymentFailed"));
    assert_eq!(python.message, "card 4711 was declined");
    assert_eq!(
        python.frames,
        ["checkout (/app/shop/views.py)", "_get_response (django/core/handlers/base.py)"]
    );
    let go = of(GO);
    assert_eq!((go.language, go.kind.as_str()), (Language::Go, "runtime error"));
    assert_eq!(go.frames, ["main.(*Cart).Total", "main.main.func", "net/http.HandlerFunc.ServeHTTP"]);
    let node = of(NODE);
    assert_eq!((node.language, node.kind.as_str()), (Language::Node, "TypeError"));
    assert_eq!(
        node.frames,
        [
            "Cart.total (/app/src/cart.js)",
            "<anonymous> (/app/src/api.js)",
            "Layer.handle (express/lib/router/layer.js)",
            "new Promise (<anonymous>)",
            "process.processTicksAndRejections (node:internal/process/task_queues)"
        ]
    );
    let dotnet = of(DOTNET);
    assert_eq!(
        (dotnet.language, dotnet.kind.as_str()),
        (Language::DotNet, "System.InvalidOperationException")
    );
    assert_eq!(dotnet.cause.as_deref(), Some("System.TimeoutException"));
    assert_eq!(
        dotnet.frames,
        ["Shop.Orders.Handler.<Place>.MoveNext", "Shop.Orders.Api.<>.<Map>", "Shop.List.Take"]
    );
}

#[test]
fn a_stack_that_is_escaped_in_a_field_is_the_same_one() {
    for text in [JAVA, PYTHON, GO, NODE, DOTNET, RUBY, RAILS, PHP, RUST] {
        let field = serde_json::to_string(text).unwrap();
        let json = format!(r#"{{"level":"error","msg":"it \"failed\"","stack":{field},"n":1}}"#);
        assert_eq!(find(json.as_bytes()), find(text.as_bytes()), "{json}");
    }
}

const RUBY: &str = "app/models/cart.rb:42:in 'Shop::Cart#total': no stock of 7 (Shop::OutOfStock)
\tfrom app/controllers/orders_controller.rb:12:in 'block in OrdersController#create'
\tfrom /usr/local/bundle/gems/rack-3.1.8/lib/rack/builder.rb:277:in 'call'
\tfrom app/views/cart.html.erb:3:in '_app_views_cart_html_erb___2957_24080'";

const RAILS: &str = "[d1f] ActiveRecord::RecordNotFound (Couldn't find Cart with id=7):

app/models/cart.rb:9:in `find!'
app/controllers/carts_controller.rb:5:in `show'";

const PHP: &str = "PHP Fatal error:  Uncaught Shop\\OutOfStock: no stock of 7 in /app/src/Cart.php:42
Stack trace:
#0 /app/src/Api.php(12): Shop\\Cart->total(7, 'abc')
#1 [internal function]: Shop\\Api->handle(Object(Request))
#2 /app/vendor/slim/slim/App.php(199): call_user_func(Array)
#3 {main}
  thrown in /app/src/Cart.php on line 42";

const RUST: &str = "thread 'worker-3' panicked at src/cart.rs:42:9:
index out of bounds: the len is 3 but the index is 5
stack backtrace:
   0: rust_begin_unwind
             at /rustc/9fc6b43/library/std/src/panicking.rs:665:5
   1: core::panicking::panic_fmt
   2: shop::cart::Cart::total::h0123456789abcdef
             at ./src/cart.rs:42:9
   3: <shop::api::Api as tower::Service>::call";

#[test]
fn ruby_php_and_rust_are_read_as_their_runtimes_write_them() {
    let all = |text: &str| {
        let stack = of(text);
        (stack.language, stack.kind, stack.message, stack.frames.join(" | "))
    };
    let wanted = |language, kind: &str, message: &str, frames: &str| {
        (language, kind.to_owned(), message.to_owned(), frames.to_owned())
    };
    assert_eq!(
        all(RUBY),
        wanted(
            Language::Ruby,
            "Shop::OutOfStock",
            "no stock of 7",
            "Shop::Cart#total (app/models/cart.rb) | \
             block in OrdersController#create (app/controllers/orders_controller.rb) | \
             call (rack-3.1.8/lib/rack/builder.rb) | _app_views_cart_html_erb (app/views/cart.html.erb)"
        )
    );
    assert_eq!(
        all(RAILS),
        wanted(
            Language::Ruby,
            "ActiveRecord::RecordNotFound",
            "Couldn't find Cart with id=7",
            "find! (app/models/cart.rb) | show (app/controllers/carts_controller.rb)"
        )
    );
    assert_eq!(
        all(PHP),
        wanted(
            Language::Php,
            "Shop\\OutOfStock",
            "no stock of 7",
            "Shop\\Cart->total (/app/src/Api.php) | Shop\\Api->handle | call_user_func (slim/slim/App.php) | {main}"
        )
    );
    assert_eq!(
        all(RUST),
        wanted(
            Language::Rust,
            "panic",
            "index out of bounds: the len is 3 but the index is 5",
            "shop::cart::Cart::total | <shop::api::Api as tower::Service>::call"
        )
    );
    let bare = parse("thread 'main' panicked at src/main.rs:2:5:\nno").unwrap();
    assert_eq!((bare.frames, bare.message), (vec!["(src/main.rs)".to_owned()], "no".to_owned()));
}

#[test]
fn what_agents_write_alike_is_told_apart_by_the_files() {
    for (language, frame, kept) in [
        (Language::Python, "buy (shop/views.py:3)", "buy (shop/views.py)"),
        (
            Language::Python,
            "get (/usr/lib/python3.12/site-packages/django/base.py:181)",
            "get (django/base.py)",
        ),
        (Language::Java, "com.shop.Cart.lambda$total$3 (Cart.java:42)", "com.shop.Cart.lambda$total"),
        (Language::Java, "com.shop.Cart.total (Unknown Source)", "com.shop.Cart.total"),
        (Language::Go, "main.(*Cart).Total.func1 (cart.go:12)", "main.(*Cart).Total.func"),
        (Language::Node, "Cart.total (lib/cart.js:10)", "Cart.total (lib/cart.js)"),
        (Language::Node, "Cart.total (src/cart.ts:10:5)", "Cart.total (src/cart.ts)"),
        (Language::Ruby, "total (app/models/cart.rb:9)", "total (app/models/cart.rb)"),
        (Language::Php, "Shop\\Cart.total (src/Cart.php:9)", "Shop\\Cart.total (src/Cart.php)"),
        (Language::DotNet, "Shop.Orders.Place (Orders.cs:9)", "Shop.Orders.Place"),
        (Language::DotNet, "Shop.Orders.Place()", "Shop.Orders.Place"),
        (Language::Rust, "shop::cart::total (src/cart.rs:9)", "shop::cart::total (src/cart.rs)"),
    ] {
        let stack = parse(&format!("at {frame}\nat {frame}\n")).unwrap();
        assert_eq!((stack.language, stack.frames), (language, vec![kept.to_owned(); 2]), "{frame}");
    }
}

#[test]
fn errors_of_ones_own_and_codes_are_names_too() {
    let own = of("PaymentDeclined: no money\n    at pay (/app/pay.js:1:2)");
    assert_eq!((own.kind.as_str(), own.message.as_str()), ("PaymentDeclined", "no money"));
    let code = of("Error [ERR_STREAM_DESTROYED]: gone\n    at pay (/app/pay.js:1:2)");
    assert_eq!((code.kind.as_str(), code.message.as_str()), ("Error", "gone"));
}

#[test]
fn other_lines_hold_no_stack() {
    for line in [
        "GET /cart 200",
        "two\nlines, looked at twice",
        r#"{"msg":"look at\nthis"}"#,
        "\"main\" #1 prio=5\n\tat java.lang.Object.wait(Native Method)",
        "goroutine pool\nis empty",
        "#0 0x00007f in main ()\n#1 {main}",
        "12:in 'all': 7\nwords",
        "the guard panicked at the gate\nand ran",
        "",
    ] {
        assert_eq!(find(line.as_bytes()), None, "{line:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        find(&bytes);
        parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn pieces_of_stacks_in_any_order_are_read(pieces in prop::collection::vec((0usize..8, 0usize..400, 0usize..200), 0..8)) {
        let all = [JAVA, PYTHON, GO, NODE, DOTNET, RUBY, PHP, RUST];
        let text: String = pieces.iter().map(|(which, from, len)| {
            all[*which].chars().skip(*from).take(*len).collect::<String>()
        }).collect();
        if let Some(stack) = parse(&text) {
            prop_assert!(stack.frames.len() <= MAX_FRAMES);
        }
        find(serde_json::to_string(&text).unwrap().as_bytes());
    }
}
