// The pickle machine: a stack, a memo, one opcode per byte. Python's Lib/pickletools.py documents them. Protocols 0 to 5, of which
// only what torch.save and numpy-free dictionaries use.
#include "io/pickle.h"

#include <algorithm>
#include <cctype>
#include <bit>
#include <map>

#include "core/text.h"

namespace fovea {

using Kind = PickleObject::Kind;

namespace {

/// The globals a stream may name. Storages give their element type; everything else is refused by name.
constexpr std::pair<std::string_view, Stored> storages[] = {
    {"FloatStorage", Stored::f32}, {"DoubleStorage", Stored::f64}, {"HalfStorage", Stored::f16}, {"BFloat16Storage", Stored::bf16}, {"LongStorage", Stored::i64},
    {"IntStorage", Stored::i32},   {"ShortStorage", Stored::i16},  {"CharStorage", Stored::i8},  {"ByteStorage", Stored::u8},       {"BoolStorage", Stored::boolean}};
constexpr std::string_view functions[] = {"collections OrderedDict",        "torch._utils _rebuild_tensor",     "torch._utils _rebuild_tensor_v2",
                                          "torch._utils _rebuild_parameter", "torch Size",                       "torch device",
                                          "collections defaultdict",         "collections Counter",              "builtins dict",
                                          "builtins list",                   "builtins tuple",                   "builtins set",
                                          "builtins frozenset",              "builtins int",                     "builtins float"};

/// Containers and numbers a file of any sensible size does not exceed; keeps a hostile stream from eating all memory.
constexpr std::size_t most_objects = 2'000'000;

}  // namespace

class PickleMachine {
public:
    PickleMachine(Pickle& pickle, std::span<const std::byte>& bytes, std::string_view file) : pickle_(pickle), bytes_(bytes), file_(file), size_(bytes.size()) {}

    PickleObject* run() {
        for (;;) {
            const auto op = static_cast<unsigned char>(take(1)[0]);
            if (op == '.') return pop();
            step(op);
        }
    }

private:
    // ---- reading ----
    [[nodiscard]] std::size_t offset() const { return size_ - bytes_.size(); }
    template <class... Args> void check(bool condition, fmt::format_string<Args...> text, Args&&... args) const {
        if (!condition) fail<FormatError>("load '{}': pickle at byte {}: {}", file_, offset(), fmt::format(text, std::forward<Args>(args)...));
    }
    std::string_view take(std::uint64_t count) {
        check(count <= bytes_.size(), "{} bytes are needed, {} are left", count, bytes_.size());
        const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()), count);
        bytes_ = bytes_.subspan(count);
        return taken;
    }
    std::uint64_t unsigned_number(int bytes) {
        std::uint64_t value = 0;
        const std::string_view taken = take(static_cast<std::uint64_t>(bytes));
        for (int i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(taken[static_cast<std::size_t>(i)])) << (8 * i);
        return value;
    }
    std::string_view line() {
        const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()), bytes_.size());
        const std::size_t end = rest.find('\n');
        check(end != std::string_view::npos, "a line without end");
        const std::string_view text = take(end);
        (void)take(1);
        return text;
    }

    // ---- the stack ----
    PickleObject* make(Kind kind) {
        check(pickle_.objects_.size() < most_objects, "more than {} objects", most_objects);
        PickleObject& object = pickle_.objects_.emplace_back();
        object.kind = kind;
        return &object;
    }
    void push(PickleObject* object) { stack_.push_back(object); }
    void push_integer(std::int64_t value, Kind kind = Kind::integer) {
        PickleObject* object = make(kind);
        object->integer = value;
        push(object);
    }
    void push_text(std::string_view value, Kind kind = Kind::text) {
        PickleObject* object = make(kind);
        object->text = value;
        push(object);
    }
    void push_items(Kind kind, std::vector<PickleObject*> items) {
        PickleObject* object = make(kind);
        object->items = std::move(items);
        push(object);
    }
    PickleObject* pop() {
        check(stack_.size() > floor(), "the stack is empty");
        PickleObject* object = stack_.back();
        stack_.pop_back();
        return object;
    }
    PickleObject* top(Kind kind, std::string_view what) {
        check(stack_.size() > floor() && stack_.back()->kind == kind, "{} is expected on the stack", what);
        return stack_.back();
    }
    [[nodiscard]] std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
    std::vector<PickleObject*> pop_to_mark() {
        check(!marks_.empty(), "no mark on the stack");
        std::vector<PickleObject*> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
        stack_.resize(marks_.back());
        marks_.pop_back();
        return items;
    }
    std::vector<PickleObject*> pop_many(std::size_t count) {
        check(stack_.size() >= floor() + count, "{} objects are needed on the stack", count);
        std::vector<PickleObject*> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
        stack_.resize(stack_.size() - count);
        return items;
    }
    void remember(std::uint64_t slot) {
        check(stack_.size() > floor(), "nothing to remember");
        memo_[slot] = stack_.back();
    }
    void recall(std::uint64_t slot) {
        const auto it = memo_.find(slot);
        check(it != memo_.end(), "memo {} was never set", slot);
        push(it->second);
    }
    void set_pairs(PickleObject* dictionary, const std::vector<PickleObject*>& items) {
        check(items.size() % 2 == 0, "a key without value");
        for (std::size_t i = 0; i < items.size(); i += 2) dictionary->pairs.emplace_back(items[i], items[i + 1]);
    }

    // ---- objects ----
    void push_global(std::string_view module, std::string_view name) {
        PickleObject* object = make(Kind::global);
        if (module == "__builtin__") module = "builtins";  // Python 2's name, which protocol 2 keeps
        object->text = fmt::format("{} {}", module, name);
        const auto storage = std::ranges::find(storages, name, &std::pair<std::string_view, Stored>::first);
        if (module == "torch" && storage != std::end(storages)) {
            object->stored = storage->second;
            object->count = 1;  // marks a storage type
        } else {
            check(std::ranges::find(functions, object->text) != std::end(functions), "'{}.{}' is not a tensor or a plain container and is not loaded", printable(module),
                  printable(name));
        }
        push(object);
    }
    [[nodiscard]] static std::string printable(std::string_view text) {
        std::string clean(text.substr(0, 80));
        std::ranges::replace_if(clean, [](unsigned char c) { return std::isprint(c) == 0; }, '?');
        return clean;
    }
    std::vector<std::int64_t> integers(const PickleObject* object) {
        check(object->kind == Kind::tuple || object->kind == Kind::list, "sizes or strides are not a tuple");
        std::vector<std::int64_t> values;
        for (const PickleObject* item : object->items) {
            check(item->kind == Kind::integer && item->integer >= 0, "a size or stride is not a whole number");
            values.push_back(item->integer);
        }
        check(values.size() <= Shape::max_rank, "a tensor of rank {}, at most {} are read", values.size(), Shape::max_rank);
        return values;
    }
    void call(const PickleObject* function, const PickleObject* arguments) {
        check(function->kind == Kind::global && arguments->kind == Kind::tuple, "only functions are called, with a tuple");
        const auto& args = arguments->items;
        const std::string_view name = function->text;
        if (name == "collections OrderedDict") {
            PickleObject* object = make(Kind::dictionary);
            if (!args.empty()) {
                check(args[0]->kind == Kind::list, "OrderedDict of something else than a list");
                copied_ += args[0]->items.size();
                check(copied_ < most_objects, "more than {} objects", most_objects);
                for (const PickleObject* pair : args[0]->items) {
                    check(pair->items.size() == 2, "OrderedDict of something else than pairs");
                    object->pairs.emplace_back(pair->items[0], pair->items[1]);
                }
            }
            return push(object);
        }
        if (name == "collections defaultdict") return push(make(Kind::dictionary));  // its argument is the type of absent values
        if (name == "collections Counter") {
            check(args.size() <= 1 && (args.empty() || args[0]->kind == Kind::dictionary), "a Counter of something else than a dictionary");
            return push(args.empty() ? make(Kind::dictionary) : args[0]);
        }
        if (name.starts_with("builtins ")) {
            check(args.size() <= 1 && (args.empty() || args[0]->kind == Kind::list || args[0]->kind == Kind::tuple || args[0]->kind == Kind::dictionary),
                  "'{}' of something else than a container", name.substr(9));
            return push(args.empty() ? make(name == "builtins dict" ? Kind::dictionary : Kind::list) : args[0]);
        }
        if (name == "torch Size") {
            check(args.size() == 1 && args[0]->items.size() <= Shape::max_rank, "torch.Size takes one tuple of at most {} sizes", Shape::max_rank);
            return push_items(Kind::tuple, args[0]->items);
        }
        if (name == "torch device") return push(make(Kind::none));
        if (name == "torch._utils _rebuild_parameter") {
            check(!args.empty() && args[0]->kind == Kind::tensor, "a parameter without tensor");
            return push(args[0]);
        }
        check(name.starts_with("torch._utils _rebuild_tensor") && args.size() >= 4, "'{}' cannot be called like this", name);
        check(args[0]->kind == Kind::storage && args[1]->kind == Kind::integer && args[1]->integer >= 0, "a tensor without storage");
        PickleObject* tensor = make(Kind::tensor);
        tensor->storage = args[0];
        tensor->stored = args[0]->stored;
        tensor->integer = args[1]->integer;
        tensor->sizes = integers(args[2]);
        tensor->strides = integers(args[3]);
        check(tensor->sizes.size() == tensor->strides.size(), "{} sizes but {} strides", tensor->sizes.size(), tensor->strides.size());
        check_inside(*tensor);
        push(tensor);
    }
    /// Every element lies in the storage, and there are no more of them than the storage has: an expanded tensor of huge size is refused.
    void check_inside(const PickleObject& tensor) {
        std::int64_t elements = 1, last = tensor.integer;
        for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
            const std::int64_t size = tensor.sizes[i];
            if (size == 0) return;
            std::int64_t step = 0;
            check(!__builtin_mul_overflow(elements, size, &elements) && !__builtin_mul_overflow(size - 1, tensor.strides[i], &step) && !__builtin_add_overflow(last, step, &last),
                  "a tensor too large to address");
        }
        check(last < tensor.storage->count && elements <= tensor.storage->count, "a tensor of {} elements reaching element {} of a storage of {}", elements, last,
              tensor.storage->count);
    }
    /// ('storage', type, key, location, elements[, view]): a tensor's bytes, stored elsewhere in the file.
    void push_storage(const PickleObject* id) {
        const auto& items = id->items;
        check(id->kind == Kind::tuple && items.size() >= 5 && items[0]->kind == Kind::text && items[0]->text == "storage", "an unknown persistent object");
        check(items[1]->kind == Kind::global && items[1]->count == 1, "a storage of unknown type");
        check(items[2]->kind == Kind::text && items[4]->kind == Kind::integer && items[4]->integer >= 0, "a storage without key or size");
        check(items.size() == 5 || items[5]->kind == Kind::none, "views of storages (PyTorch 0.1) are not read");
        PickleObject* storage = make(Kind::storage);
        storage->stored = items[1]->stored;
        storage->text = items[2]->text;
        storage->count = items[4]->integer;
        push(storage);
    }
    void push_long(std::uint64_t bytes) {
        const std::string_view digits = take(bytes);
        if (digits.size() > 8) return push_text(digits, Kind::bytes);  // torch's magic number; nothing else needs such integers
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < digits.size(); ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(digits[i])) << (8 * i);
        if (!digits.empty() && digits.size() < 8 && (digits.back() & 0x80) != 0) value |= ~std::uint64_t{0} << (8 * digits.size());
        push_integer(static_cast<std::int64_t>(value));
    }
    void push_real() {
        std::uint64_t bits = 0;
        for (const char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);  // big-endian, unlike all other numbers
        PickleObject* object = make(Kind::real);
        object->real = std::bit_cast<double>(bits);
        push(object);
    }

    void step(unsigned char op) {
        switch (op) {
            case 0x80: check(unsigned_number(1) <= 5, "a protocol newer than 5"); return;
            case 0x95: (void)take(8); return;  // FRAME
            case '(': marks_.push_back(stack_.size()); return;
            case '0':
                if (stack_.size() == floor() && !marks_.empty()) return marks_.pop_back();
                (void)pop();
                return;
            case '1': (void)pop_to_mark(); return;
            case '2': push(stack_.size() > floor() ? stack_.back() : pop()); return;
            case 'N': return push(make(Kind::none));
            case 0x88: return push_integer(1, Kind::boolean);
            case 0x89: return push_integer(0, Kind::boolean);
            case 'K': return push_integer(static_cast<std::int64_t>(unsigned_number(1)));
            case 'M': return push_integer(static_cast<std::int64_t>(unsigned_number(2)));
            case 'J': return push_integer(static_cast<std::int32_t>(unsigned_number(4)));
            case 0x8a: return push_long(unsigned_number(1));
            case 0x8b: return push_long(unsigned_number(4));
            case 'G': return push_real();
            case 'X': return push_text(take(unsigned_number(4)));
            case 0x8c: return push_text(take(unsigned_number(1)));
            case 0x8d: return push_text(take(unsigned_number(8)));
            case 'T': return push_text(take(unsigned_number(4)));
            case 'U': return push_text(take(unsigned_number(1)));
            case 'B': return push_text(take(unsigned_number(4)), Kind::bytes);
            case 'C': return push_text(take(unsigned_number(1)), Kind::bytes);
            case 0x8e: return push_text(take(unsigned_number(8)), Kind::bytes);
            case ']':
            case 0x8f: return push(make(Kind::list));  // EMPTY_SET too: its order means nothing to us
            case ')': return push(make(Kind::tuple));
            case '}': return push(make(Kind::dictionary));
            case 'l': return push_items(Kind::list, pop_to_mark());
            case 't': return push_items(Kind::tuple, pop_to_mark());
            case 0x85: return push_items(Kind::tuple, pop_many(1));
            case 0x86: return push_items(Kind::tuple, pop_many(2));
            case 0x87: return push_items(Kind::tuple, pop_many(3));
            case 'd': {
                const auto items = pop_to_mark();
                PickleObject* dictionary = make(Kind::dictionary);
                set_pairs(dictionary, items);
                return push(dictionary);
            }
            case 'a': {
                PickleObject* item = pop();
                top(Kind::list, "a list")->items.push_back(item);
                return;
            }
            case 'e':
            case 0x90: {
                const auto items = pop_to_mark();
                auto& list = top(Kind::list, "a list")->items;
                list.insert(list.end(), items.begin(), items.end());
                return;
            }
            case 's': {
                const auto pair = pop_many(2);
                return set_pairs(top(Kind::dictionary, "a dictionary"), pair);
            }
            case 'u': {
                const auto items = pop_to_mark();
                return set_pairs(top(Kind::dictionary, "a dictionary"), items);
            }
            case 'q': return remember(unsigned_number(1));
            case 'r': return remember(unsigned_number(4));
            case 0x94: return remember(memo_.size());
            case 'h': return recall(unsigned_number(1));
            case 'j': return recall(unsigned_number(4));
            case 'c': {
                const std::string_view module = line(), name = line();
                return push_global(module, name);
            }
            case 0x93: {
                const auto names = pop_many(2);
                check(names[0]->kind == Kind::text && names[1]->kind == Kind::text, "a global without name");
                return push_global(names[0]->text, names[1]->text);
            }
            case 'R':
            case 0x81: {
                const auto both = pop_many(2);
                return call(both[0], both[1]);
            }
            case 'b':
                // The state of an OrderedDict (PyTorch's _metadata) says nothing about tensors.
                (void)pop();
                (void)top(Kind::dictionary, "an object with state");
                return;
            case 'Q': return push_storage(pop());
            default: check(false, "opcode 0x{:02x} is not read: the file holds more than tensors and plain containers", op);
        }
    }

    Pickle& pickle_;
    std::span<const std::byte>& bytes_;
    std::string_view file_;
    std::size_t size_;
    std::size_t copied_ = 0;  // pairs copied from remembered lists: the one way in which few bytes make many objects
    std::vector<PickleObject*> stack_;
    std::vector<std::size_t> marks_;
    std::map<std::uint64_t, PickleObject*> memo_;
};

PickleObject* Pickle::read(std::span<const std::byte>& bytes, std::string_view file) { return PickleMachine(*this, bytes, file).run(); }

}  // namespace fovea
