package xmlspec

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
)

func textUnmarshaler(v reflect.Value) (encoding.TextUnmarshaler, bool) {
	u, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return u, ok
}

func setText(v reflect.Value, text string) error {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return setText(v.Elem(), text)
	}
	if u, ok := textUnmarshaler(v); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		return setBool(v, text)
	case v.CanInt():
		return setInt(v, text)
	case v.CanUint():
		return setUint(v, text)
	default:
		return fmt.Errorf("no text can be read into %s", v.Type())
	}
	return nil
}

func setBool(v reflect.Value, text string) error {
	switch text {
	case "yes", "true":
		v.SetBool(true)
	case "no", "false":
		v.SetBool(false)
	default:
		return fmt.Errorf("%.64q is neither yes nor no", text)
	}
	return nil
}

func setInt(v reflect.Value, text string) error {
	i, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		return fmt.Errorf("%.64q is not a whole number of %d bits", text, v.Type().Bits())
	}
	v.SetInt(i)
	return nil
}

func setUint(v reflect.Value, text string) error {
	u, err := strconv.ParseUint(text, 10, v.Type().Bits())
	if err != nil {
		return fmt.Errorf("%.64q is not a whole number from 0 of %d bits", text, v.Type().Bits())
	}
	v.SetUint(u)
	return nil
}
