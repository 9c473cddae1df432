#include "io/prototxt.h"

#include <cctype>
#include <charconv>

#include "core/text.h"

namespace fovea {

namespace {

class PrototxtReader {
public:
    explicit PrototxtReader(const Source& source) : text_(reinterpret_cast<const char*>(source.bytes.data()), source.bytes.size()), file_(source.name) {}

    std::vector<PrototxtLayer> read() {
        next();
        message(0);
        check(token_.empty(), "a '}}' too many");
        require<FormatError>(!layers_.empty(), "read '{}': no 'layer {{ ... }}' in it: not a network of Caffe", file_);
        return std::move(layers_);
    }

private:
    template <class... Args> void check(bool condition, fmt::format_string<Args...> text, Args&&... args) const {
        if (!condition) fail<FormatError>("read '{}': line {}: {}", file_, line_, fmt::format(text, std::forward<Args>(args)...));
    }

    /// A word, a number, a text without its quotes, or one of { } : [ ] , ; < >. Empty at the end.
    void next() {
        for (; !text_.empty(); text_.remove_prefix(1)) {
            if (text_[0] == '#') text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
            if (text_.empty()) break;
            if (text_[0] == '\n') ++line_;
            if (std::isspace(static_cast<unsigned char>(text_[0])) == 0) break;
        }
        is_text_ = false;
        if (text_.empty()) {
            token_ = {};
        } else if (text_[0] == '"' || text_[0] == '\'') {
            const std::size_t end = text_.find(text_[0], 1);
            check(end != std::string_view::npos && text_.substr(0, end).find('\n') == std::string_view::npos, "a text without end");
            token_ = text_.substr(1, end - 1), is_text_ = true;
            text_.remove_prefix(end + 1);
        } else {
            const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-' || c == '+'; };
            std::size_t length = 0;
            while (length < text_.size() && is_word(text_[length])) ++length;
            check(length > 0 || std::string_view("{}:[],;<>").find(text_[0]) != std::string_view::npos, "character 0x{:02x} is none of the text format", static_cast<unsigned char>(text_[0]));
            token_ = text_.substr(0, std::max<std::size_t>(length, 1));
            text_.remove_prefix(token_.size());
        }
    }
    [[nodiscard]] bool is(std::string_view sign) const { return !is_text_ && token_ == sign; }

    /// Fields up to the closing brace, or the end of the file.
    void message(int depth, std::string_view kind = {}) {
        check(depth < 32, "messages nested too deeply");
        while (!(token_.empty() && !is_text_) && !is("}") && !is(">")) {
            const std::string_view field = token_;
            check(!is_text_ && (std::isalpha(static_cast<unsigned char>(field[0])) != 0 || field[0] == '_'), "a field's name is expected, got '{}'", field.substr(0, 40));
            next();
            const bool has_colon = is(":");
            if (has_colon) next();
            if (is("{") || is("<")) {
                const bool is_layer = depth == 0 && (field == "layer" || field == "layers");
                // 2013: layers { layer { ... } }
                if (is_layer) layers_.emplace_back();
                next();
                message(depth + 1, field);
                check(is("}") || is(">"), "a message without end");
                next();
            } else {
                check(has_colon, "':' or '{{' is expected behind '{}', got '{}'", field.substr(0, 40), token_.substr(0, 40));
                value(field, kind, depth);
            }
            while (is(",") || is(";")) next();
        }
    }
    void value(std::string_view field, std::string_view kind, int depth) {
        if (is("[")) {
            while (!is("]")) {
                next();
                check(!token_.empty() || is_text_, "a list without end");
            }
            return next();
        }
        check(!token_.empty() || is_text_, "a value is expected behind '{}:'", field.substr(0, 40));
        if (depth > 0 && !layers_.empty()) {
            const bool is_layer = kind == "layer" || kind == "layers";
            PrototxtLayer& layer = layers_.back();
            if (is_layer && field == "name") layer.name = token_;
            if (is_layer && field == "type") layer.type = token_;
            if (field == "num_output" && (is_layer || kind == "convolution_param" || kind == "inner_product_param")) {
                const auto [end, error] = std::from_chars(token_.data(), token_.data() + token_.size(), layer.outputs);
                check(error == std::errc{} && end == token_.data() + token_.size() && layer.outputs > 0, "num_output is a positive number, got '{}'", token_.substr(0, 40));
            }
        }
        next();
        while (is_text_) next();  // texts beside each other are one
    }

    std::string_view text_, file_, token_;
    bool is_text_ = false;
    int line_ = 1;
    std::vector<PrototxtLayer> layers_;
};

}  // namespace

std::vector<PrototxtLayer> read_prototxt(const Source& source) { return PrototxtReader(source).read(); }

}  // namespace fovea
